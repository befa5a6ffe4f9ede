# Shared by all programs that may have to undo a run: who is alive, and who may undo.
# `$base` holds all runs.
boot=
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null

# born PID: when that process began, in $REPLY; fails where it is dead.
born() {
  { IFS= read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${stat##*) }
  case $1 in Z | X) return 1 ;; esac
  REPLY=${20}
}

# sign FILE: this process, so that nobody takes another one for it.
sign() { born "$$" && printf '%s %s %s\n' "$$" "$REPLY" "$boot" >"$1"; }

# alive FILE: the process that signed it lives.
alive() {
  pid= birth= when=
  { read -r pid birth when; } 2>/dev/null <"$1"
  [ "$pid" ] && [ "$when" = "$boot" ] && born "$pid" && [ "$REPLY" = "$birth" ]
}

# stop FILE: ends the process that signed it and all that it has started, but for this one.
stop() {
  alive "$1" || return 0
  all=" $pid "
  kill -STOP "$pid"
  more=1
  while [ "$more" ]; do
    more=
    for dir in /proc/[0-9]*; do
      one=${dir#/proc/}
      case $all in *" $one "*) continue ;; esac
      [ "$one" != "$$" ] || continue
      { IFS= read -r stat <"$dir/stat"; } 2>/dev/null || continue
      stat=${stat##*) }
      stat=${stat#* }
      case $all in *" ${stat%% *} "*)
        all="$all$one "
        kill -STOP "$one" 2>/dev/null
        more=1
        ;;
      esac
    done
  done
  # The program itself must not begin anything more; what it has started may end in good order.
  kill -KILL "$pid"
  for one in $all; do kill -TERM "$one" 2>/dev/null; done
  for one in $all; do kill -CONT "$one" 2>/dev/null; done
  tries=0
  while [ "$tries" -lt 12 ]; do
    more=
    for one in $all; do
      born "$one" || continue
      more=1
      [ "$tries" -lt 10 ] || kill -KILL "$one" 2>/dev/null
    done
    [ "$more" ] || return 0
    tries=$((tries + 1))
    sleep 1
  done
}

# orphaned RUN: nobody watches over that run any more, nor is about to. Its folder is in $at.
orphaned() {
  at=$base/$1
  [ -r "$at/undo.sh" ] || return 1
  if [ -s "$at/watching" ]; then
    ! alive "$at/watching"
  else
    [ -s "$at/acting" ] && ! alive "$at/acting"
  fi
}

# claim RUN: takes `pending` for the undo, if it is that run's. It is renamed once.
claim() {
  mv -T -- "$base/pending" "$base/$1/undoing" 2>/dev/null || return 1
  IFS= read -r owner 2>/dev/null <"$base/$1/undoing" || owner=
  [ "$owner" = "$1" ] && return 0
  # Between our look and our hand another run has begun to wait: it gets its own back.
  ln -- "$base/$1/undoing" "$base/pending" 2>/dev/null
  rm -f -- "$base/$1/undoing"
  return 1
}

# undo_all AT: undoes the whole run whose folder that is; its status is in $REPLY.
undo_all() {
  stop "$1/acting"
  # A disk that is full has this much room for the undo.
  rm -f -- "$1/reserve"
  log=$1/undo.log
  printf '' 2>/dev/null >"$log" || log=/dev/null
  sh "$1/undo.sh" force </dev/null >"$log" 2>&1 9>&- && rc=0 || rc=$?
  printf '%s\n' "$rc" >"$1/undone.part" && mv -f -T -- "$1/undone.part" "$1/undone"
  REPLY=$rc
}

# settle: what a run left that nobody watches over any more is undone. Fails where an undo is
# still under way; whose is in $other.
settle() {
  IFS= read -r other 2>/dev/null <"$base/pending" || other=
  case $other in
    '' | *[!A-Za-z0-9-]*) ;;
    *) if orphaned "$other"; then adopt "$other"; fi ;;
  esac
  for at in "$base"/*/undoing; do
    at=${at%/undoing}
    [ -e "$at/undoing" ] && [ ! -e "$at/undone" ] && [ -r "$at/undo.sh" ] || continue
    other=${at##*/}
    orphaned "$other" && adopt "$other" || return 1
  done
}

# adopt RUN: undoes what has been orphaned; one of us at a time.
adopt() {
  {
    if have flock && ! flock -n 9; then return 1; fi
    # Somebody may have been quicker.
    [ ! -e "$base/$1/undone" ] || return 0
    orphaned "$1" || return 1
    sign "$at/watching"
    [ -e "$at/undoing" ] || claim "$1" || return 0
    undo_all "$at"
    rc=$REPLY
    slurp "$at/undo.log"
    frame settled "$1" "$rc" "$REPLY"
  } 9>"$base/lock"
}
