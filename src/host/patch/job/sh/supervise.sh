# The supervisor: it alone starts the job, at most once, ends it when its time is up, and writes
# down how it ended. `$dir` is the job's folder, `$limit` its time in seconds.

# trim: a log that grows without end does not fill the disk.
trim() {
  size=$(wc -c 2>/dev/null <"$dir/log") || return 0
  [ "$size" -gt "$most" ] || return 0
  printf '' >"$dir/cut"
  truncate -s "$most" "$dir/log" 2>/dev/null || dd if=/dev/null of="$dir/log" bs=1 seek="$most" 2>/dev/null
}

# kept FILE…: on the disk, whatever happens to the machine.
kept() { sync -- "$@" 2>/dev/null || sync; }

# clock SECONDS: watches over the job's time and its log; ends with the job.
clock() {
  pause=
  trap '[ "$pause" ] && kill "$pause" 2>/dev/null; exit 0' TERM
  read -r up rest </proc/uptime
  until=$((${up%%.*} + $1))
  while read -r up rest </proc/uptime && [ "${up%%.*}" -lt "$until" ]; do
    trim
    sleep 1 &
    pause=$!
    wait "$pause"
  done
  # From here on it goes through, however the job ends meanwhile.
  trap '' TERM
  printf '' >"$dir/late"
  stop "$dir/child"
}

# attend SECONDS PART: runs that part of the job; its status is in $REPLY.
attend() {
  sh "$dir/job.sh" "$2" </dev/null >>"$dir/log" 2>&1 &
  child=$!
  born "$child" && printf '%s %s %s\n' "$child" "$REPLY" "$boot" >"$dir/child"
  clock "$1" &
  clock=$!
  # A signal (the machine goes down) ends our waiting, not the job.
  while :; do
    woken=
    wait "$child"
    rc=$?
    [ "$woken" ] || break
  done
  # It is ending the job: what it ends has ended when it has.
  [ ! -e "$dir/late" ] || wait "$clock"
  REPLY=$rc
}

# retire: the clock too. A signal can be lost on a shell that has just begun: until it is gone.
retire() {
  while born "$clock"; do
    kill "$clock" 2>/dev/null
    sleep 0.05 2>/dev/null || sleep 1
  done
}

supervise() {
  trap 'woken=1' TERM INT HUP
  # Whoever links it first is the supervisor. It is on the disk before anything is done.
  sign "$dir/pid.$$" && kept "$dir/pid.$$" || exit 73
  ln -- "$dir/pid.$$" "$dir/pid" 2>/dev/null || { rm -f -- "$dir/pid.$$"; exit 0; }
  rm -f -- "$dir/pid.$$"
  printf '@seawall begin %s\n' "$token" >"$dir/log"
  kept "$dir"
  attend "$limit" main
  end="exit $REPLY"
  if [ -e "$dir/late" ]; then
    end=timeout
    retire
    rm -f -- "$dir/late"
    attend 300 cleanup
  fi
  trim
  if [ -e "$dir/cut" ]; then
    {
      printf '\n@seawall.%s cut log the log was cut here\n' "$token"
      head -c 2097152 "$dir/said"
    } >>"$dir/log" 2>/dev/null
  fi
  printf '%s\n' "$end" >"$dir/ended.part" && kept "$dir/ended.part" "$dir/log" &&
    mv -f -T -- "$dir/ended.part" "$dir/ended" && kept "$dir"
  retire
}
