# health_check N SECONDS COMMAND
health_check() {
  if have timeout; then set -- "$1" "$2" "$3" timeout -k 5 "$2"; else set -- "$1" "$2" "$3"; fi
  _n=$1 _command=$3
  shift 3
  # Its status comes last, so that what it says may be anything, and cut.
  _said=$(
    exec 4>&1
    _rc=$({ { (umask 022; exec "$@" sh -c "$_command") </dev/null 2>&1 3>&- 4>&- && _rc=0 || _rc=$?; echo "$_rc" >&3; } | { head -c 16384 | tr -d '\0'; cat >/dev/null; } >&4; } 3>&1)
    printf '\n%s' "$_rc"
  )
  _rc=${_said##*
}
  _said=${_said%
*}
  frame check "$_n" "${_rc:-1}" "$_said"
}
