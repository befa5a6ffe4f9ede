# What the jobs of all package managers share. `$lock_wait` in seconds.

# holder FILE…: who holds one of these locks, in $holder; empty: nobody that can be seen.
holder() {
  holder=
  inodes=" $(stat -c %i -- "$@" 2>/dev/null | tr '\n' ' ')"
  while read -r _n _kind _how access pid place _rest; do
    [ "$_kind" != '->' ] && [ "$access" = WRITE ] || continue
    case $inodes in *" ${place##*:} "*) ;; *) continue ;; esac
    # The same number may be another file's on another file system.
    for open in "/proc/$pid/fd"/*; do
      for file in "$@"; do
        [ "$open" -ef "$file" ] && holder=$pid && return 0
      done
    done
  done </proc/locks
  return 1
}

# await_locks: until nobody else holds any of $lock_files; names who is. Ends the job with 75 when it takes too long.
await_locks() {
  now
  lock_until=$((REPLY + lock_wait)) told=
  while holder $lock_files; do
    program=$(tr '\0' ' ' <"/proc/$holder/cmdline" 2>/dev/null | head -c 200)
    if [ "$told" != "$holder" ]; then
      say lock "$holder" "$program"
      told=$holder
    fi
    now
    if [ "$REPLY" -ge "$lock_until" ]; then
      say busy "$holder" "after $lock_wait seconds the package manager's lock is still held by $program"
      job_end 75
    fi
    sleep 1
  done
}

# mark: where the log stands, so that `why` looks at what comes.
mark() { marked=$(wc -c <"$dir/log"); }

# room DIR BYTES: whether there is so much room, and some to spare.
room() {
  free=$(df -Pk -- "$1" 2>/dev/null | awk 'NR == 2 { print $4 }')
  case $free in '' | *[!0-9]*) say note space "it is not known how much room $1 has"; return 0 ;; esac
  [ "$free" -lt "$(($2 / 1024 + 16384))" ] || return 0
  say space "$1" "$((free * 1024)) $2"
  return 1
}
