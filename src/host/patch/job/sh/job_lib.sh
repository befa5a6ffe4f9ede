# What every job has: `$dir` is its folder, `$token` makes its words its own.

# say KIND NAME TEXT: one line for the controller. Kept apart too, in case the log is cut.
say() {
  word "$1"
  _line="@seawall.$token $REPLY"
  word "$2"
  _line="$_line $REPLY"
  _text=${3:-}
  case $_text in *[[:cntrl:]]*) _text=$(printf '%s' "$_text" | tr '[:cntrl:]' ' ') ;; esac
  # Whatever was written before it may lack its newline.
  printf '\n%s %s\n' "$_line" "$_text"
  printf '%s %s\n' "$_line" "$_text" >>"$dir/said"
}

# word TEXT: as one word, in $REPLY.
word() {
  REPLY=${1:--}
  case $REPLY in *[[:space:][:cntrl:]]*) REPLY=$(printf '%s' "$REPLY" | tr '[:space:][:cntrl:]' '?') ;; esac
}

# job_end STATUS: the job ends here.
job_end() { exit "$1"; }

# job_cleanup: what is done when the job's time was up and it was ended; jobs write their own.
job_cleanup() { :; }

# now: seconds since boot, in $REPLY.
now() { read -r REPLY _rest </proc/uptime; REPLY=${REPLY%%.*}; }

# limited SECONDS COMMAND…: its status, or 124 when it took longer.
limited() {
  if have timeout; then timeout -k 10 "$@"; else
    shift
    "$@"
  fi
}
