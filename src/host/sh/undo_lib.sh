# Shared by the act program and by the undo program that it leaves on the host.
# `$store` is this run's private directory; `$step` the step at hand.

# save PATH: keeps the original, whole or not at all, or notes that there was none.
save() {
  if [ -e "$1" ] || [ -L "$1" ]; then
    cp -a -- "$1" "$store/$step.orig.part" &&
      mv -f -T -- "$store/$step.orig.part" "$store/$step.orig"
  else
    printf '' >"$store/$step.none"
  fi
}

# place NEW PATH: NEW takes PATH's place at once; where that cannot be (a mount), its text does.
place() {
  mv -f -T -- "$1" "$2" 2>/dev/null || { cat -- "$1" >"$2" && rm -f -- "$1"; }
}

# put_back PATH: what `save` saw is there again, to the byte, the mode and the owner.
put_back() {
  if [ -e "$store/$step.orig" ] || [ -L "$store/$step.orig" ]; then
    back="${1%/*}/.seawall.$step.back"
    rm -f -- "$back"
    cp -a -- "$store/$step.orig" "$back" && place "$back" "$1"
  elif [ -e "$store/$step.none" ]; then
    rm -f -- "$1"
  fi
}

# parents DIR: makes what is missing above a new file, and remembers what it made.
parents() {
  [ -d "$1" ] && return 0
  parents "$(dirname -- "$1")" || return 1
  mkdir -m 755 -- "$1" && printf '%s\n' "$1" >>"$store/$step.dirs"
}

# unparent: takes away the directories that `parents` made, if they are empty.
unparent() {
  [ -e "$store/$step.dirs" ] || return 0
  made=
  while IFS= read -r one; do made="$one
$made"; done <"$store/$step.dirs"
  printf '%s' "$made" | while IFS= read -r one; do
    rmdir -- "$one" 2>/dev/null
  done
  :
}
