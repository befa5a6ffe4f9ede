# What all jobs about images share. Set by the calls: ENGINE, NAME (what people call it), REF,
# REPO, FROM and TO (digests), OLD_IMAGE (id), WITHIN and STEADY (seconds), CHECK (sh), PORTS (hex).

image_begin() {
  [ "$(id -u)" != 0 ] || HOME=~root
  HOME=${HOME:-/root}; export HOME
  WHY=
}

# image_end OUTCOME STATUS WHY: where it did not end well, the log's last line says why too.
image_end() {
  say image "$NAME" "$1 ${FROM:--} ${TO:--} $3"
  [ "$2" -eq 0 ] || printf '%s: %s\n' "$1" "$3"
  job_end "$2"
}

about() { "$ENGINE" container inspect -f "$2" "$1" 2>/dev/null; }
id_of() { "$ENGINE" container inspect "$1" 2>/dev/null | sed -n 's/^[ \t]*"Id": "\([0-9a-f]*\)",*$/\1/p;/"Id"/q'; }
image_id() { "$ENGINE" image inspect "$1" 2>/dev/null | sed -n 's/^[ \t]*"Id": "\(sha256:\)*\([0-9a-f]*\)",*$/\2/p;/"Id"/q'; }
runs_image() { _i=$(about "$1" '{{.Image}}') && [ "${_i#sha256:}" = "$2" ]; }
# What an engine's program had to say of its failure, in one line.
last_words() { printf '%.300s' "$(printf '%s\n' "$1" | grep -v '^[[:space:]]*$' | tail -n 2 | tr '\n\t' '  ')"; }

# Fetches by the digest that was planned (the tag may have moved on since), and only then gives it
# the tag. NEW_IMAGE is its id.
image_fetch() {
  if [ -z "$(image_id "$REPO@$TO")" ]; then
    _said=$("$ENGINE" pull "$REPO@$TO" 2>&1) || { WHY="it could not be pulled: $(last_words "$_said")"; return 1; }
  fi
  NEW_IMAGE=$(image_id "$REPO@$TO")
  [ -n "$NEW_IMAGE" ] || { WHY='it was pulled, and is not there under the digest that was expected'; return 1; }
  "$ENGINE" tag "$OLD_IMAGE" "$FORMER_TAG" >/dev/null 2>&1 || { WHY='the former image could not be tagged'; return 1; }
}

image_tag() {
  _said=$("$ENGINE" tag "$1" "$REF" 2>&1) || { WHY="the tag could not be moved: $(last_words "$_said")"; return 1; }
}

# The hexadecimal numbers of the TCP ports, of those in PORTS, on which the container listens.
listening() {
  _pid=$(about "$1" '{{.State.Pid}}')
  [ "${_pid:-0}" -gt 0 ] 2>/dev/null || return 0
  [ -n "$PORTS" ] || return 0
  cat "/proc/$_pid/net/tcp" "/proc/$_pid/net/tcp6" 2>/dev/null | awk -v ports=" $PORTS " '
    $4 == "0A" { n = split($2, a, ":"); if (index(ports, " " a[n] " ")) print a[n] }' | sort -u | tr '\n' ' '
}

# Whether there is a HEALTHCHECK to wait for.
has_healthcheck() {
  case $(about "$1" '{{if .Config.Healthcheck}}{{json .Config.Healthcheck.Test}}{{end}}') in
    ''|null|'[]'|'["NONE"]') return 1 ;;
  esac
}

health_of() {
  if [ "$ENGINE" = podman ]; then
    # podman's timers need systemd; asking it ourselves does no harm where they run too.
    if podman healthcheck run "$1" >/dev/null 2>&1; then echo healthy; else echo 'not healthy'; fi
    return
  fi
  about "$1" '{{if .State.Health}}{{.State.Health.Status}}{{end}}'
}

# healthy CONTAINER LISTENED: waits until it is, at most WITHIN seconds (and STEADY, where nothing
# but time can tell). WHY says what was missing. What it printed is not repeated: it may hold secrets.
healthy() {
  _begun=$(date +%s)
  _since=
  _born=
  _count=
  while :; do
    _state=$(about "$1" '{{.State.Status}} {{.State.StartedAt}} {{.RestartCount}} {{.State.ExitCode}}')
    # podman writes a time with blanks in it.
    _word=${_state%% *}
    _exit=${_state##* }
    _rest=${_state#* }
    _rest=${_rest% *}
    _now=$(date +%s)
    WHY=
    if [ "$_word" != running ]; then
      WHY="it is ${_word:-gone} (exit status $_exit)"
      case $_word in exited|dead|'') [ $((_now - _begun)) -lt 3 ] || return 1 ;; esac
      _since=
    else
      if [ -n "$_born" ] && [ "$_rest" != "$_born" ]; then
        _since=
        _count=$((${_count:-0} + 1))
      fi
      _born=$_rest
      [ -n "$_since" ] || _since=$_now
      if has_healthcheck "$1"; then
        _health=$(health_of "$1")
        [ "$_health" = healthy ] || WHY="its HEALTHCHECK says ${_health:-nothing}"
      elif [ $((_now - _since)) -lt "$STEADY" ]; then
        WHY="it does not keep running for $STEADY s (restarts: ${_count:-0})"
      fi
      if [ -z "$WHY" ]; then
        _listen=" $(listening "$1")"
        for _p in $2; do
          case $_listen in *" $_p "*) ;; *) WHY="it does not listen on port $((0x$_p)) any more" ;; esac
        done
      fi
      if [ -z "$WHY" ] && [ -n "$CHECK" ]; then
        if have timeout; then timeout 60 sh -c "$CHECK"; else sh -c "$CHECK"; fi </dev/null >/dev/null 2>&1 ||
          WHY="its check ends with status $?"
      fi
      [ -n "$WHY" ] || return 0
    fi
    if has_healthcheck "$1"; then _most=$WITHIN; else _most=$((WITHIN + STEADY)); fi
    [ $((_now - _begun)) -lt "$_most" ] || return 1
    sleep 1
  done
}
