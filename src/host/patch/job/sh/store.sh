# The controller's side: starts a job, follows it, forgets a run. `$base` is the store of all
# programs, `$run` the run, `$job` the job, `$dir` the job's folder, `$most` a log's bytes.

refuse() { frame end job "$1" "$2"; exit 0; }

# root_only DIR…: all of them directories that only root can change.
root_only() {
  for one in "$@"; do [ -d "$one" ] || return 1; done
  set -- $(stat -L -c '%u %a' -- "$@" 2>/dev/null)
  [ "$#" -ge 2 ] || return 1
  while [ "$#" -ge 2 ]; do
    [ "$1" = 0 ] || return 1
    case $2 in *[2367] | *[2367]?) return 1 ;; esac
    shift 2
  done
}

# own_folders DIR…: ours: no links, root's, and nobody else's to look into.
own_folders() {
  for one in "$@"; do
    [ -d "$one" ] || mkdir -m 700 -- "$one" 2>/dev/null || [ -d "$one" ] || return 1
    [ ! -L "$one" ] || return 1
  done
  chmod 700 -- "$@" 2>/dev/null && root_only "$@"
}

# job_state: how the job in $dir stands, in $state. Without a fork.
job_state() {
  state=
  if read_end "$dir/ended"; then return; fi
  if [ ! -e "$dir/pid" ]; then
    state=absent
  elif alive "$dir/pid" || alive "$dir/child"; then
    state=running
  elif ! read_end "$dir/ended" && ! read_end "$dir/status"; then
    state=died
  fi
}

# read_end FILE: what is written there of a job's end.
read_end() {
  state=
  { IFS= read -r state <"$1"; } 2>/dev/null
  case $state in
    timeout | 'exit '[0-9] | 'exit '[0-9][0-9] | 'exit '[0-9][0-9][0-9]) ;;
    *) return 1 ;;
  esac
}

# launch: the supervisor, detached from this connection.
launch() {
  if [ -d /run/systemd/system ] && have systemd-run; then
    set -- --quiet --collect --unit="seawall-patch-$run-$job" \
      --property=KillMode=process --property=TimeoutStopSec=300 --property=IgnoreSIGPIPE=no
    # Older ones do not know all properties.
    if systemd-run "$@" --property=TasksMax=infinity --property=OOMPolicy=continue \
      /bin/sh "$dir/job.sh" supervise >/dev/null 2>&1 ||
      systemd-run "$@" /bin/sh "$dir/job.sh" supervise >/dev/null 2>&1; then
      begun 500 && return
    fi
  fi
  if have setsid; then
    setsid sh "$dir/job.sh" supervise </dev/null >/dev/null 2>&1 &
  else
    (sh "$dir/job.sh" supervise </dev/null >/dev/null 2>&1 &)
  fi
  begun 500
}

# begun TRIES: waits until a supervisor has signed.
begun() {
  tries=0
  while [ ! -e "$dir/pid" ] && [ ! -e "$dir/ended" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt "$1" ] || return 1
    sleep 0.02 2>/dev/null || { sleep 1; tries=$((tries + 49)); }
  done
}

# start_job: the job is begun, by us or by somebody before us.
start_job() {
  [ "$(id -u)" = 0 ] || refuse 77 'root rights are needed to change anything, and there are none'
  root_only / /var /var/lib || refuse 73 'others than root can write in /var/lib or above it: nothing of root is kept there'
  own_folders "$base" "$base/patch" "$base/patch/$run" "$dir" ||
    refuse 73 "the folder $dir cannot be made (read-only, full, or somebody else has put something there)"
  [ ! -e "$dir/pid" ] && [ ! -e "$dir/ended" ] || return 0
  if [ ! -e "$dir/job.sh" ]; then
    printf '%s' "$job_text" 2>/dev/null >"$dir/job.$$"
    if [ "$(wc -c <"$dir/job.$$")" -ne "$job_bytes" ] 2>/dev/null; then
      rm -f -- "$dir/job.$$"
      refuse 73 "the job cannot be written to $dir: is the disk full?"
    fi
    # Whole or not at all; of two at once, one.
    ln -- "$dir/job.$$" "$dir/job.sh" 2>/dev/null
    rm -f -- "$dir/job.$$"
  fi
  launch && return
  # Nobody shall begin it behind our back once we have said that it did not start.
  printf '0 0 none\n' >"$dir/pid.$$" && ln -- "$dir/pid.$$" "$dir/pid" 2>/dev/null
  rm -f -- "$dir/pid.$$"
  alive "$dir/pid" || [ -e "$dir/ended" ] || refuse 70 'the job did not start: neither systemd-run nor a session of its own worked'
}

# pass_log: what the log has beyond $at. A running job's log is read to its bound and no further.
pass_log() {
  size=$(wc -c 2>/dev/null <"$dir/log") || return 0
  [ "$state" != running ] || [ "$size" -le "$most" ] || size=$most
  while [ "$at" -lt "$size" ]; do
    piece=$((size - at))
    [ "$piece" -le 262144 ] || piece=262144
    printf '\n@%s log %s 0 %s\n' "$NONCE" "$at" "$piece"
    tail -c "+$((at + 1))" -- "$dir/log" | head -c "$piece"
    printf '\n'
    at=$((at + piece))
  done
}

# follow_job: the log as it grows from $at on, for $wait seconds at most, then how the job stands.
follow_job() {
  read -r up rest </proc/uptime
  until=$((${up%%.*} + wait))
  turn=0
  while :; do
    job_state
    [ "$state" != running ] || [ "$((turn % 10))" != 9 ] || pass_log
    [ "$state" = running ] || break
    read -r up rest </proc/uptime
    [ "${up%%.*}" -lt "$until" ] || break
    turn=$((turn + 1))
    # Short jobs are seen to end at once; long ones are not asked about all the time.
    if [ "$turn" -lt 40 ]; then sleep 0.05; elif [ "$turn" -lt 80 ]; then sleep 0.1; else sleep 0.2; fi 2>/dev/null || sleep 1
  done
  [ "$state" = absent ] || pass_log
  frame end job 0 "$state"
}

# forget_run: takes the run's folder away, unless a job of it runs.
forget_run() {
  all=$base/patch/$run
  if [ -L "$base" ] || [ -L "$base/patch" ] || [ -L "$all" ]; then
    frame end forget 1 "$all is a link, which is not ours"
    return
  fi
  for dir in "$all"/*/; do
    dir=${dir%/}
    job_state
    if [ "$state" = running ]; then
      frame end forget 1 "the job ${dir##*/} still runs"
      return
    fi
  done
  if rm -rf -- "$all" 2>/dev/null; then frame end forget 0 ''; else frame end forget 1 "$all cannot be taken away"; fi
}
