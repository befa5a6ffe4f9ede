# An interrupted connection must not stop what has begun.
trap '' HUP PIPE

# beat SECONDS: the watchdog waits this much longer from now.
beat() {
  read -r up rest </proc/uptime
  printf '%s\n' "$((${up%%.*} + $1))" >"$store/deadline"
}

refuse() { frame end act "$1" "$2"; exit 0; }

# written FILE BYTES: the whole of it is there (a full disk tells nobody else).
written() { [ "$(wc -c <"$1" 2>/dev/null)" -eq "$2" ] 2>/dev/null; }

# Makes the undo store and takes the host for this run.
arm() {
  [ "$(id -u)" = 0 ] || refuse 77 'root rights are needed to change anything, and there are none'
  mkdir -p -m 700 -- "$base" 2>/dev/null && chmod 700 "$base" 2>/dev/null && mkdir -m 700 -- "$store" 2>/dev/null ||
    refuse 73 "the undo store $store cannot be made (read-only, full or no such directory)"
  printf '%s' "$undo_text" >"$store/undo.sh" 2>/dev/null && written "$store/undo.sh" "$undo_bytes" &&
    printf '%s' "$watch_text" >"$store/watch.sh" 2>/dev/null && written "$store/watch.sh" "$watch_bytes" || {
    rm -rf -- "$store"
    refuse 73 "the undo store $store cannot be written: is the disk full?"
  }
  beat "$window"
  if ! (set -C && printf '%s\n' "$run" >"$base/pending") 2>/dev/null; then
    IFS= read -r other 2>/dev/null <"$base/pending" || other=another
    rm -rf -- "$store"
    refuse 71 "run $other is still waiting to be kept or undone on this host"
  fi
  if [ -d /run/systemd/system ] && have systemd-run &&
    systemd-run --quiet --collect --unit="seawall-confirm-$run" /bin/sh "$store/watch.sh" >/dev/null 2>&1; then :
  elif have setsid; then
    setsid sh "$store/watch.sh" </dev/null >/dev/null 2>&1 &
  else
    sh "$store/watch.sh" </dev/null >/dev/null 2>&1 &
  fi
  tries=0
  while [ ! -s "$store/watching" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then
      rm -f -- "$base/pending"
      refuse 70 'the watchdog that would undo the run did not start, so nothing was changed'
    fi
    sleep 0.05
  done
  frame armed "$run" 0 ''
}

# run_step STEP SECONDS
run_step() {
  step=$1
  beat "$2"
  if ! ("${step}_guard") >/dev/null 2>&1; then
    frame step "$step" 75 'it is no longer as it was seen'
    return
  fi
  if ! printf '' >"$store/begun.$step"; then
    frame step "$step" 73 'the undo store cannot be written'
    return
  fi
  if out=$("${step}_act" 2>&1 >/dev/null); then
    printf '' >"$store/done.$step"
    some=1
    frame step "$step" 0 "$out"
  else
    take_back "$step" "$out"
  fi
}

# take_back STEP WHY: a step that went wrong is undone at once.
take_back() {
  step=$1
  if more=$("${step}_undo" 2>&1 >/dev/null); then
    rm -f -- "$store/begun.$step" "$store/done.$step"
    frame step "$step" 1 "$2"
  else
    frame step "$step" 2 "$2
and it could not be put back: $more"
  fi
}

# run_reaction NAME FUNCTION STEP…: once, if any of the steps was done; if it fails, they are undone.
run_reaction() {
  name=$1 function=$2
  shift 2
  any=
  for one in "$@"; do [ -e "$store/done.$one" ] && any=1; done
  [ "$any" ] || return 0
  if out=$("$function" 2>&1 >/dev/null); then
    frame reaction "$name" 0 "$out"
    return
  fi
  frame reaction "$name" 1 "$out"
  why="$name failed: $out"
  for one in "$@"; do
    [ -e "$store/done.$one" ] && take_back "$one" "$why"
  done
  "$function" >/dev/null 2>&1
}

# Nothing was done after all: there is nothing to confirm.
release_if_idle() {
  for one in "$store"/done.* "$store"/begun.*; do
    [ -e "$one" ] && return 0
  done
  mv -f -T -- "$base/pending" "$store/kept"
}
