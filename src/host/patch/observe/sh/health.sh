observe_health() {
  if [ -d /run/systemd/system ]; then
    _said=$(limited 30 systemctl is-system-running 2>/dev/null)
    frame section running 0 "$_said"
    _said=$(limited 30 systemctl list-units --plain --no-legend --no-pager --full --type=service,socket,timer 2>&1)
    tell units "$?" "$_said"
    # What is started at boot has a link there; asking systemd for it would cost more than all else.
    _said=
    for _one in /etc/systemd/system/*.wants/* /etc/systemd/system/*.requires/*; do
      [ -h "$_one" ] && _said="$_said${_one##*/}$newline"
    done
    tell enabled 0 "$_said"
  else
    frame section running 0 ''
  fi
  if have ss && _said=$(ss -H -l -t -u -n -p 2>/dev/null); then tell listeners 0 "$_said"; return 0; fi
  if [ ! -r /proc/net/tcp ] || ! have grep; then
    frame section listeners 1 'there is no ss, and /proc/net/tcp may not be read'
    return 0
  fi
  _said=$(grep -s -H -o -E '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ (0A|07) ' -- /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6)
  tell listeners 0 "$_said"
}
