# Shared by the act program and by the undo program that it leaves on the host.
# `$store` is this run's private directory; `$step` the step at hand.

# heard COMMAND…: what it says on stderr, in $REPLY, at most so much of it as a person reads; its
# own status.
heard() {
  REPLY=$(
    exec 4>&1
    rc=$({ { ("$@") 2>&1 >/dev/null 3>&- 4>&- && rc=0 || rc=$?; echo "$rc" >&3; } | { head -c 4000; cat >/dev/null; } >&4; } 3>&1)
    printf '\n%s' "$rc"
  )
  rc=${REPLY##*
}
  REPLY=${REPLY%
*}
  # A step that ended without a word about how has not ended well.
  return "${rc:-1}"
}

# ours DIR: nobody but root can put anything into DIR or in its place.
ours() {
  _real=$(cd -P -- "$1" 2>/dev/null && pwd -P) || return 1
  # Both the way that is written and the one that it leads to.
  fence "$1" && { [ "$_real" = "$1" ] || fence "$_real"; }
}

# fence DIR: DIR and all above it are root's.
fence() {
  _up=$1
  set --
  while [ "$_up" ] && [ "$_up" != / ]; do
    set -- "$@" "$_up"
    _up=${_up%/*}
  done
  set -- $(stat -L -c '%u %a %g' -- "$@" /)
  [ "$#" -ge 3 ] || return 1
  first=1
  while [ "$#" -ge 3 ]; do
    [ "$1" = 0 ] || return 1
    open=
    case $2 in *[2367]) open=1 ;; esac
    case $2 in *[2367]?) [ "$3" = 0 ] || open=1 ;; esac
    if [ "$open" ]; then
      # Further up, a sticky directory does: what is root's in it cannot be moved by others.
      [ ! "$first" ] || return 1
      case $2 in [1357]???) ;; *) return 1 ;; esac
    fi
    first=
    shift 3
  done
}

# fenced DIR: the same, said aloud.
fenced() {
  ours "$1" && return 0
  echo "others than root can write in $1: a file of root's is not put there" >&2
  return 1
}

# own PATH OWNER MODE: whatever others do to the directory meanwhile, nothing else is hit.
own() {
  above=${1%/*}
  if ours "${above:-/}"; then
    [ ! -L "$1" ] && chown -h -- "$2" "$1" && chmod -- "$3" "$1"
    return
  fi
  (
    cd -P -- "$above" && [ "$(pwd -P)" = "$above" ] || { echo "a directory above $1 is a link" >&2; exit 1; }
    one=./${1##*/}
    [ ! -L "$one" ] && { [ -f "$one" ] || [ -d "$one" ]; } || { echo "$1 is no plain file or directory" >&2; exit 1; }
    {
      # The open file is what is changed; its name must still be its own, not a link to it.
      [ "$(stat -c '%d %i' -- "$one")" = "$(stat -L -c '%d %i' /proc/self/fd/8)" ] &&
        chown -- "$2" /proc/self/fd/8 && chmod -- "$3" /proc/self/fd/8
    } 8<"$one"
  )
}

# save PATH: keeps the original, whole or not at all, or notes that there was none.
save() {
  if [ -e "$1" ] || [ -L "$1" ]; then
    cp -a -- "$1" "$store/$step.orig.part" &&
      mv -f -T -- "$store/$step.orig.part" "$store/$step.orig"
  else
    printf '' >"$store/$step.none"
  fi
}

# place NEW PATH: NEW takes PATH's place at once; where that cannot be (a mount), its text does,
# with its owner and mode.
place() {
  mv -f -T -- "$1" "$2" 2>/dev/null && return 0
  if cp -a -T -- "$1" "$2"; then
    rm -f -- "$1"
  else
    rm -f -- "$1"
    return 1
  fi
}

# alike ONE OTHER: the same text, mode and owner.
alike() {
  [ "$(stat -c '%f %u %g %Y' -- "$1")" = "$(stat -c '%f %u %g %Y' -- "$2" 2>/dev/null)" ] || return 1
  if [ -L "$1" ]; then
    [ "$(readlink -- "$1")" = "$(readlink -- "$2")" ]
  else
    cmp -s -- "$1" "$2"
  fi
}

# put_back PATH: what `save` saw is there again, to the byte, the mode and the owner.
put_back() {
  rm -f -- "${1%/*}/.seawall.$step.new" "${1%/*}/.seawall.$step.back"
  if [ -e "$store/$step.orig" ] || [ -L "$store/$step.orig" ]; then
    alike "$store/$step.orig" "$1" && return 0
    above=${1%/*}
    if ours "${above:-/}"; then back=$above/.seawall.$step.back; else back=$store/$step.back; fi
    if cp -a -- "$store/$step.orig" "$back"; then
      place "$back" "$1"
      return
    fi
    # No room for a copy: the original itself goes back, which needs none on the same file system.
    rm -f -- "$back"
    [ "$(stat -c %d -- "$store")" = "$(stat -c %d -- "${above:-/}")" ] && mv -f -T -- "$store/$step.orig" "$1"
  elif [ -e "$store/$step.none" ]; then
    rm -f -- "$1"
  fi
}

# parents DIR: makes what is missing above a new file, and remembers what it made.
parents() {
  [ -d "$1" ] && return 0
  parents "$(dirname -- "$1")" && fenced "$(dirname -- "$1")" || return 1
  printf '%s\n' "$1" >>"$store/$step.dirs" && mkdir -m 755 -- "$1"
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
