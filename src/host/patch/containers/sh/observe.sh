# Containers: what runs, from what, and what its tag means now. Nothing is written.

# An engine's pretty JSON → one line for each object, without secrets: values of environment
# variables and of labels that are nobody's business stay here, and what healthchecks printed too.
# Fails where the JSON is not laid out as both engines lay it out, rather than let a value pass.
containers_redact() {
  awk '
  function depth(l) { match(l, /^[ \t]*/); return RLENGTH }
  function comma(l) { return l ~ /,$/ ? "," : "" }
  function named(l) { i = index(l, "="); return i ? substr(l, 1, i) "\"" comma(l) : l }
  function put(l) {
    sub(/^[ \t]+/, "", l)
    size += length(l)
    if (size <= 131072) one = one l
  }
  /^\[\]?$/ || /^\]$/ || /^$/ { next }
  at == "" { at = depth($0) }
  section == "" && depth($0) == at && /^[ \t]*\{$/ { one = ""; id = ""; size = 0 }
  section == "" && id == "" && /^[ \t]*"Id": "(sha256:)?[0-9a-f]+",?$/ {
    id = $0; sub(/^[ \t]*/, "", id); sub(/,$/, "", id)
  }
  section == "" && depth($0) == at && /^[ \t]*\},?$/ {
    total += size
    if (size > 131072 || total > 3000000) print "{" (id == "" ? "" : id ",") "\"TooLarge\":true}"
    else print one "}"
    next
  }
  section != "" && depth($0) <= inner {
    if ($0 !~ /^[ \t]*[]}],?$/) { bad = 1; exit }
    section = ""; put($0); next
  }
  section == "Log" { next }
  section == "Env" { put(named($0)); next }
  section == "Labels" || section == "Annotations" {
    if ($0 ~ /^[ \t]*"(com\.docker\.compose|com\.docker\.swarm|com\.docker\.stack|io\.kubernetes|io\.podman\.compose|PODMAN_SYSTEMD_UNIT)/) { put($0); next }
    if (!match($0, /^[ \t]*"([^"\\]|\\.)*": /)) { bad = 1; exit }
    put(substr($0, 1, RLENGTH) "\"\"" comma($0)); next
  }
  section == "CreateCommand" {
    word = $0; sub(/^[ \t]*"/, "", word); sub(/",?$/, "", word)
    if (after == "env") { put(named($0)); after = ""; next }
    if (word ~ /^--env=/) { sub(/--env=/, "--env:", $0); l = named($0); sub(/--env:/, "--env=", l); put(l); next }
    if (word ~ /^-[dit]*e./) { put(named($0)); next }
    if (word == "--env" || word ~ /^-[dit]*e$/) after = "env"
    put($0); next
  }
  /^[ \t]*"(Env|Labels|Annotations|CreateCommand|Log)":/ {
    if ($0 ~ /: (null|\[\]|\{\}),?$/) { put($0); next }
    if ($0 !~ /: [[{]$/) { bad = 1; exit }
    section = $0; sub(/^[ \t]*"/, "", section); sub(/".*/, "", section)
    inner = depth($0); after = ""
  }
  { put($0) }
  END { if (bad) { print "its JSON is not laid out as expected" > "/dev/stderr"; exit 3 } }
  '
}

# containers_engine ENGINE: frames `containers`, `images`, `registry`.
containers_engine() {
  _e=$1
  _ids=$(containers_wait 30 "$_e" ps -q --no-trunc 2>/dev/null) || {
    frame containers "$_e" 1 "$(containers_wait 30 "$_e" ps -q 2>&1 >/dev/null)"
    return
  }
  [ -n "$_ids" ] || { frame containers "$_e" 0 ''; return; }
  # shellcheck disable=SC2086 # ids, one word each
  _all=$(containers_wait 60 "$_e" container inspect $_ids 2>/dev/null | containers_redact 2>&1) || {
    frame containers "$_e" 1 "$_all"; return
  }
  [ -n "$_all" ] || { frame containers "$_e" 1 'it says which run, and nothing about them'; return; }
  case $_e in
    docker) _form='{{.Image}} {{.Config.Image}}' ;;
    *) _form='{{.Image}} {{.ImageName}}' ;;
  esac
  # A container may have gone since: the others count.
  # shellcheck disable=SC2086
  _made=$(containers_wait 60 "$_e" container inspect -f "$_form" $_ids 2>/dev/null | sort -u)
  _images=$(printf '%s\n' "$_made" | cut -d' ' -f1 | sort -u)
  # shellcheck disable=SC2086
  _them=$(containers_wait 60 "$_e" image inspect $_images 2>/dev/null | containers_redact 2>&1) || _them=
  # What was built here is in no registry, and its name is not told to one.
  # shellcheck disable=SC2086
  _pulled=$(containers_wait 60 "$_e" image inspect -f '{{.Id}} {{len .RepoDigests}}' $_images 2>/dev/null)
  [ -n "$_pulled" ] || _pulled=$(containers_wait 60 "$_e" image inspect -f '{{.ID}} {{len .RepoDigests}}' $_images 2>/dev/null)
  _refs=$(printf '%s\n--\n%s\n' "$_pulled" "$_made" | awk '
    $1 == "--" { second = 1; next }
    !second { if ($2 > 0) has[$1] = 1; next }
    ($1 in has) && NF == 2 && $2 ~ /^[A-Za-z0-9._\/:-]+$/ && $2 !~ /^sha256:/ && $2 !~ /^localhost\// { print $2 }
  ' | sort -u)
  frame images "$_e" 0 "$_them"
  frame registry "$_e" 0 "$(containers_registries "$_e" "$_refs")"
  frame containers "$_e" 0 "$_all"
}

containers_wait() {
  if have timeout; then timeout "$@"; else shift; "$@"; fi
}

# Eight at a time. Each says one line: `REF sha256:…` or `REF ! WHY`.
containers_registries() {
  _n=0
  for _ref in $2; do
    containers_registry "$1" "$_ref" &
    _n=$((_n + 1))
    [ $((_n % 8)) -ne 0 ] || wait
  done
  wait
}

containers_registry() {
  _why=
  _digest=
  if [ "$1" = docker ] && have curl && [ -S /var/run/docker.sock ]; then
    _said=$(containers_header "$2" | curl -sS -m 20 -K - --unix-socket /var/run/docker.sock \
      "http://docker/v1.30/distribution/$2/json" 2>&1)
    containers_digest "$_said"
  fi
  if [ -z "$_digest" ] && have skopeo; then
    _tls=
    case $1:$2 in docker:127.*|docker:localhost:*) _tls=--tls-verify=false ;; esac
    _said=$(containers_wait 20 skopeo inspect $_tls --format '{{.Digest}}' "docker://$2" 2>&1)
    containers_digest "$_said"
  fi
  if [ -z "$_digest" ] && [ "$1" = docker ]; then
    _said=$(containers_wait 20 docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$2" 2>/dev/null)
    case $_said in sha256:*) containers_digest "$_said" ;; esac
  fi
  if [ -z "$_digest" ] && [ "$1" = docker ]; then
    # Of several platforms it names one, whose digest is not the tag's: then nothing is known.
    _said=$(containers_wait 20 docker manifest inspect -v "$2" 2>&1)
    case $_said in '['*) ;; *) containers_digest "$_said" ;; esac
  fi
  if [ -n "$_digest" ]; then printf '%s %s\n' "$2" "$_digest"; return; fi
  [ -n "$_why" ] || _why='no program here can ask a registry (curl with docker, or skopeo)'
  printf '%s ! %.300s\n' "$2" "$(printf '%s' "$_why" | tr '\n\t' '  ')"
}

# The first digest of the text is _digest; else the first such text is _why.
containers_digest() {
  _digest=$(printf '%s\n' "$1" | sed -n 's/.*\(sha256:[0-9a-f]\{64\}\).*/\1/p;/sha256:/q' | head -n 1)
  case $1 in *'"message":'*|*'"errors":'*|*rror*) case $1 in *'"digest"'*) ;; *) _digest= ;; esac ;; esac
  [ -n "$_digest$_why" ] || _why=$1
}

# curl's configuration with docker's own credentials for the reference's registry, where they lie
# in root's config.json itself. A pipe only: no argument, no file.
containers_header() {
  _host=${1%%/*}
  case $_host in
    "$1") _host=https://index.docker.io/v1/ ;;
    *.*|*:*|localhost) ;;
    *) _host=https://index.docker.io/v1/ ;;
  esac
  [ "$_host" != docker.io ] || _host=https://index.docker.io/v1/
  _auth=$(tr -d ' \t\n' 2>/dev/null <"$HOME/.docker/config.json" | awk -v host="$_host" '
    { i = index($0, "\"" host "\":{"); if (!i) exit
      rest = substr($0, i + length(host) + 4); rest = substr(rest, 1, index(rest, "}") - 1)
      if (match(rest, /"auth":"[A-Za-z0-9+\/=]+"/)) print substr(rest, RSTART + 8, RLENGTH - 9) }')
  [ -n "$_auth" ] || return 0
  _pair=$(printf '%s' "$_auth" | base64 -d 2>/dev/null | sed 's/[\\"]/\\&/g')
  printf 'header = "X-Registry-Auth: %s"\n' "$(printf '{"username":"%s","password":"%s","serveraddress":"%s"}' \
    "${_pair%%:*}" "${_pair#*:}" "$_host" | base64 | tr -d '\n' | tr '+/' '-_')"
}

# Whether a container of another user runs under podman: conmon keeps each.
containers_rootless() {
  for _p in /proc/[0-9]*; do
    slurp "$_p/comm" || continue
    [ "$REPLY" = conmon ] && ! [ -O "$_p" ] && return 0
  done
  return 1
}

observe_containers() {
  [ "$(id -u)" != 0 ] || HOME=~root
  HOME=${HOME:-/root}; export HOME
  if have docker; then
    case $(docker --version 2>/dev/null) in
      *podman*) ;;
      *) if have dockerd || [ -S /var/run/docker.sock ]; then containers_engine docker; fi ;;
    esac
  fi
  if have podman; then
    containers_engine podman
    ! containers_rootless || frame rootless podman 1 ''
  fi
}
