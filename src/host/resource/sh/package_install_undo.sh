[ -e "$store/$step.before" ] || return 0
[ -e "$store/$step.after" ] || _list >"$store/$step.after" || return 1
_purge='' _remove=''
while read -r _p _s; do
  case $_s in config-files | not-installed) continue ;; esac
  if grep -qxF -- "$_p config-files" "$store/$step.before"; then _remove="$_remove $_p"
  elif ! grep -qF -- "$_p " "$store/$step.before"; then _purge="$_purge $_p"; fi
done <<LIST
$(comm -13 "$store/$step.before" "$store/$step.after")
LIST
if [ "$_remove" ]; then
  _take remove "$_purge$_remove" && _apt remove -- $_remove || return 1
fi
if [ "$_purge" ]; then
  _take purge "$_purge" && _apt purge -- $_purge || return 1
fi
