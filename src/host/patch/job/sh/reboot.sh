# ask_reboot BOOT_ID: a moment from now, so that this program ends first.
ask_reboot() {
  slurp /proc/sys/kernel/random/boot_id
  if [ "$REPLY" != "$1" ]; then
    frame end reboot 1 "$REPLY"
    return
  fi
  if [ "$(id -u)" != 0 ]; then
    frame end reboot 2 'root rights are needed to reboot, and there are none'
    return
  fi
  sync
  if [ -d /run/systemd/system ] && have systemd-run && have systemctl &&
    systemd-run --quiet --collect --on-active=2 --timer-property=AccuracySec=100ms systemctl reboot >/dev/null 2>&1; then
    frame end reboot 0 systemd
  elif have shutdown || have reboot; then
    if have setsid; then set -- setsid sh; else set -- sh; fi
    "$@" -c 'sleep 2; shutdown -r now || reboot' </dev/null >/dev/null 2>&1 &
    frame end reboot 0 shutdown
  else
    frame end reboot 2 'there is neither systemctl nor shutdown nor reboot'
  fi
}
