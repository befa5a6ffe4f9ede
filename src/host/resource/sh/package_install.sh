_list >"$store/$step.list" || return 1
# Without any lists apt knows no package at all.
_lists=
for _f in /var/lib/apt/lists/*Packages*; do [ -e "$_f" ] && _lists=1; done
# apt only warns where it reaches no archive, and then knows no package: its last words say so.
if [ -z "$_lists" ]; then
  _said=$(_apt update 2>&1 >/dev/null) || { printf '%s\n' "$_said" | tail -n 3 >&2; return 1; }
fi
_sim=$(_apt -s --no-install-recommends install -- $names 2>&1) || {
  printf '%s\n' "$_sim" | grep '^E:' >&2 || printf '%s\n' "$_sim" | tail -n 3 >&2
  return 1
}
_more=$(printf '%s\n' "$_sim" | while read -r _w _p _r; do case $_w in Remv | Purg) printf ' %s' "$_p" ;; esac; done)
[ -z "$_more" ] || { echo "apt would remove:$_more" >&2; return 1; }
# Only now is there anything for an undo to look at.
mv -f -- "$store/$step.list" "$store/$step.before"
_apt --no-install-recommends install -- $names || return 1
_list >"$store/$step.after"
