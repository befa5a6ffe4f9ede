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
    printf '%s' "$watch_text" >"$store/watch.sh" 2>/dev/null && written "$store/watch.sh" "$watch_bytes" &&
    sign "$store/acting" && [ -s "$store/acting" ] &&
    head -c 65536 /dev/zero >"$store/reserve" 2>/dev/null && written "$store/reserve" 65536 || {
    rm -rf -- "$store"
    refuse 73 "the undo store $store cannot be written: is the disk full?"
  }
  beat "$window"
  if ! take; then
    settle
    take || {
      IFS= read -r other 2>/dev/null <"$base/pending" || other=another
      rm -rf -- "$store"
      refuse 71 "run $other is still waiting to be kept or undone on this host"
    }
  fi
  # Now that no other run can begin: what is being undone must have ended.
  settle || {
    rm -f -- "$base/pending"
    rm -rf -- "$store"
    refuse 71 "run $other is being undone on this host right now"
  }
  beat "$window"
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
    sleep 0.05 2>/dev/null || sleep 1
  done
  frame armed "$run" 0 ''
}

# take: this run is the one that waits, unless another one does.
take() { (set -C && printf '%s\n' "$run" >"$base/pending") 2>/dev/null; }

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
  if heard "${step}_act"; then
    if printf '' >"$store/done.$step"; then
      some=1
      frame step "$step" 0 "$REPLY"
    else
      take_back "$step" 'the undo store cannot be written'
    fi
  else
    take_back "$step" "$REPLY"
  fi
}

# take_back STEP WHY: a step that went wrong is undone at once.
take_back() {
  step=$1 why_back=$2
  if heard "${step}_undo"; then
    rm -f -- "$store/begun.$step" "$store/done.$step"
    frame step "$step" 1 "$why_back"
  else
    frame step "$step" 2 "$why_back
and it could not be put back: $REPLY"
  fi
}

# run_reaction NAME FUNCTION SECONDS STEP…: once, if any of the steps was done; if it fails, they
# are undone.
run_reaction() {
  name=$1 function=$2
  beat "$3"
  shift 3
  any=
  for one in "$@"; do [ -e "$store/done.$one" ] && any=1; done
  [ "$any" ] || return 0
  if heard "$function"; then
    frame reaction "$name" 0 "$REPLY"
    return
  fi
  frame reaction "$name" 1 "$REPLY"
  why="$name failed: $REPLY"
  for one in "$@"; do
    [ -e "$store/done.$one" ] && take_back "$one" "$why"
  done
  heard "$function"
}

# Nothing was done after all: there is nothing to confirm.
release_if_idle() {
  for one in "$store"/done.* "$store"/begun.*; do
    [ -e "$one" ] && return 0
  done
  mv -f -T -- "$base/pending" "$store/kept"
}
