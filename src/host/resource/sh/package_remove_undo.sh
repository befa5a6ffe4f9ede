[ -d "$store/$step.debs" ] || return 0
set --
for _f in "$store/$step.debs"/*.deb; do
  [ -e "$_f" ] || continue
  _is_installed "$(dpkg-deb -f "$_f" Package)" || set -- "$@" "$_f"
done
[ $# -gt 0 ] || return 0
_n=0
while :; do
  _said=$(dpkg --force-confdef --force-confold -i "$@" 2>&1) && break
  # Someone else may hold the lock for a while.
  case $_said in *' lock'*) ;; *) printf '%s\n' "$_said" >&2; return 1 ;; esac
  _n=$((_n + 1))
  [ $_n -lt 24 ] || { printf '%s\n' "$_said" >&2; return 1; }
  sleep 5
done
[ ! -s "$store/$step.auto" ] || apt-mark auto $(cat "$store/$step.auto")
