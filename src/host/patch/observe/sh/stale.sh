# Processes that run code from files which are no longer there. One reading of all maps; the rest
# without a fork.
observe_stale() {
  if ! is_root; then frame section stale 1 'root rights are needed to see what all processes use'; return 0; fi
  if ! have grep || [ ! -r "/proc/$$/maps" ]; then frame section stale 1 'there is no grep, or no /proc'; return 0; fi
  _said=$(grep -s -H -E '^[0-9a-f]+-[0-9a-f]+ r.x. [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ [0-9]+ +/(usr|lib|lib32|lib64|libx32|bin|sbin|opt)/.* \(deleted\)$' /proc/[0-9]*/maps)
  _old_ifs=$IFS
  IFS=$newline
  set -f
  _last= _who=
  for _line in $_said; do
    _pid=${_line#/proc/}
    _pid=${_pid%%/*}
    [ "$_pid" != "$_last" ] || continue
    _last=$_pid
    # What lives in a PID namespace of its own is a container's.
    _own=host
    if [ -e "/proc/$_pid/ns/pid" ] && ! [ "/proc/$_pid/ns/pid" -ef "/proc/$$/ns/pid" ]; then _own=inside; fi
    _comm=
    { read -r _comm <"/proc/$_pid/comm"; } 2>/dev/null
    _who="$_who$newline@$_pid $_own $_comm"
    while read -r _group || [ "$_group" ]; do _who="$_who$newline$_group"; done 2>/dev/null <"/proc/$_pid/cgroup"
  done
  set +f
  IFS=$_old_ifs
  tell stale 0 "$_said$_who"
  if have needrestart; then
    _said=$(NEEDRESTART_MODE=l limited 120 needrestart -b -r l -l -k 2>/dev/null)
    tell needrestart "$?" "$_said"
  fi
}
