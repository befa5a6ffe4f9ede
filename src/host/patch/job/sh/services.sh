# begin_restarts: units' files may have been replaced.
begin_restarts() {
  bad=0
  if [ -d /run/systemd/system ] && have systemctl; then
    limited 90 systemctl daemon-reload
  fi
}

# restart_unit UNIT: restarted, and up again; says so.
restart_unit() {
  if [ ! -d /run/systemd/system ] || ! have systemctl; then
    bad=1
    say restarted "$1" '1 there is no systemd here'
    return
  fi
  if [ "$1" = systemd-manager ] || [ "$1" = init.scope ]; then
    out=$(limited "$seconds" systemctl daemon-reexec 2>&1) && rc=0 || rc=1
    [ "$rc" = 0 ] || bad=1
    out=$(printf '%s' "$out" | head -c 300)
    say restarted "$1" "$rc $out"
    return
  fi
  out=$(limited "$seconds" systemctl restart -- "$1" 2>&1) && rc=0 || rc=$?
  now=$(limited 15 systemctl show -p ActiveState -p SubState -p Type -- "$1" 2>/dev/null | tr '\n' ' ')
  well=1
  case $now in
    *ActiveState=active* | *ActiveState=activating* | *ActiveState=reloading*) well=0 ;;
    # One that does its work and ends.
    *Type=oneshot*ActiveState=inactive* | *ActiveState=inactive*Type=oneshot*) well=0 ;;
  esac
  [ "$rc" = 0 ] || well=1
  [ "$well" = 0 ] || bad=1
  case $rc in 124 | 137) out="it took longer than $seconds seconds. $out" ;; esac
  out=$(printf '%s' "$out" | head -c 300)
  say restarted "$1" "$well $now$out"
}
