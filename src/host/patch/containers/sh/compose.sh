# Recreating a service of compose, by compose. Set besides: PROJECT, SERVICE, FOLDER, FILES and
# ENV_FILES (separated by commas, as compose writes them down), MAJOR (1 or 2: who made it), COUNT,
# OLD (the ids, separated by blanks).

# compose ARGUMENTS…
compose() {
  (
    cd "$FOLDER" || exit 1
    if [ "$ENGINE" = podman ]; then DOCKER_HOST=unix:///run/podman/podman.sock; export DOCKER_HOST; fi
    # Flags go behind, then what was asked for goes behind them.
    _all=$#
    _ifs=$IFS
    IFS=,
    set -f
    for _f in $FILES; do set -- "$@" -f "$_f"; done
    for _f in $ENV_FILES; do set -- "$@" --env-file "$_f"; done
    IFS=$_ifs
    set -- "$@" -p "$PROJECT" --project-directory "$FOLDER"
    while [ "$_all" -gt 0 ]; do set -- "$@" "$1"; shift; _all=$((_all - 1)); done
    if [ "$MAJOR" = 2 ]; then exec docker compose "$@"; fi
    exec docker-compose "$@"
  )
}

compose_ids() {
  "$ENGINE" ps -a -q --no-trunc --filter "label=com.docker.compose.project=$PROJECT" \
    --filter "label=com.docker.compose.service=$SERVICE" --filter label=com.docker.compose.oneoff=False 2>/dev/null
}

# What compose needs is here, and means the same image as before. WHY says what is missing.
compose_ready() {
  if [ "$MAJOR" = 2 ]; then
    docker compose version >/dev/null 2>&1 || { WHY='the compose plugin that made it is not here any more'; return 1; }
  else
    have docker-compose || { WHY='docker-compose, which made it, is not here any more'; return 1; }
  fi
  [ "$ENGINE" = docker ] || [ -S /run/podman/podman.sock ] || { WHY="podman's socket, over which compose made it, is not here"; return 1; }
  [ -d "$FOLDER" ] || { WHY="its project's folder $FOLDER is not here any more"; return 1; }
  _ifs=$IFS
  IFS=,
  set -f
  for _f in $FILES $ENV_FILES; do
    case $_f in /*) ;; *) _f=$FOLDER/$_f ;; esac
    [ -r "$_f" ] || { WHY="its file $_f is not here any more"; break; }
  done
  set +f
  IFS=$_ifs
  [ -z "$WHY" ] || return 1
  _said=$(compose config 2>&1 >/dev/null) || { WHY="compose does not read its files any more: $(last_words "$_said")"; return 1; }
  case $_said in
    *'variable is not set'*) WHY='its files take something from an environment that is not here: put it into an env file'; return 1 ;;
  esac
  compose config 2>/dev/null | tr -d "\"'" | sed 's/^ *//' | grep -qxF "image: $REF" ||
    { WHY='its files name another image than it was made from'; return 1; }
}

compose_up() {
  set -- up -d --no-deps --no-build
  if [ "$MAJOR" = 2 ]; then
    case $(docker compose up --help 2>/dev/null) in *'--pull '*) set -- "$@" --pull never ;; esac
  fi
  [ "$COUNT" -le 1 ] || set -- "$@" --scale "$SERVICE=$COUNT"
  _said=$(compose "$@" "$SERVICE" 2>&1) || { WHY="compose ended with: $(last_words "$_said")"; return 1; }
}

# Each of the service's containers runs this image, and is healthy.
compose_healthy() {
  _them=$(compose_ids)
  [ -n "$_them" ] || { WHY='compose left no container of it'; return 1; }
  for _c in $_them; do
    runs_image "$_c" "$1" || { WHY='compose did not make it from the image that it should'; return 1; }
  done
  for _c in $_them; do healthy "$_c" "$2" || return 1; done
}

compose_back() {
  _was=$WHY
  image_tag "$OLD_IMAGE" || { WHY="$_was; $WHY"; return 1; }
  compose_up || { WHY="$_was; $WHY"; return 1; }
  compose_healthy "$OLD_IMAGE" "" || { WHY="$_was; back on the former image, $WHY"; return 1; }
  "$ENGINE" rmi "$FORMER_TAG" >/dev/null 2>&1
  WHY=$_was
}

compose_leave() {
  if [ -n "${NEW_IMAGE:-}" ]; then "$ENGINE" tag "$OLD_IMAGE" "$REF" >/dev/null 2>&1; fi
  "$ENGINE" rmi "$FORMER_TAG" >/dev/null 2>&1
  image_end unchanged 1 "$1"
}

update_by_compose() {
  image_begin
  LISTENED=
  for _c in $OLD; do
    runs_image "$_c" "$OLD_IMAGE" || { compose_leave 'it is no longer the container that was seen: it was recreated since'; return; }
    [ -n "$LISTENED" ] || LISTENED=$(listening "$_c")
  done
  compose_ready || { compose_leave "$WHY"; return; }
  image_fetch || { compose_leave "$WHY"; return; }
  image_tag "$NEW_IMAGE" || { compose_leave "$WHY"; return; }
  if compose_up && compose_healthy "$NEW_IMAGE" "$LISTENED"; then
    image_end updated 0 'healthy'
    return
  fi
  if compose_back; then image_end went-back 1 "$WHY"; else image_end failed 1 "$WHY"; fi
}

back_by_compose() {
  image_begin
  WHY='the host was not well with it'
  if compose_back; then image_end went-back 0 "$WHY"; else image_end failed 1 "$WHY"; fi
}

# Its time was up, and it was ended wherever it was.
job_cleanup() {
  image_order
  image_begin
  WHY='its time was up'
  if compose_back; then image_end went-back 1 "$WHY"; else image_end failed 1 "$WHY"; fi
}
