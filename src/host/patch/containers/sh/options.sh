# Recreating a container with the very options that it had. Set besides: OLD (its id), CNAME (its
# name), RESTART (its policy). Made for each: `image_create`, `image_connect`.

# Within the job's own folder, which only root can enter.
work_folder() {
  WORK=$dir/values
  rm -rf "$WORK"
  mkdir -m 0700 "$WORK" 2>/dev/null || { WHY="there is no room for $WORK"; return 1; }
}

# Entries of a list, one to a line; fails where one has several lines. The x keeps a last newline
# from being lost.
lines_of() {
  _n=$("$ENGINE" "$1" inspect -f "{{len $3}}" "$2" 2>/dev/null) || return 1
  _t=$("$ENGINE" "$1" inspect -f "$4x" "$2" 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$_t" | grep -c '')" = "$((_n + 1))" ] || return 1
  printf '%s' "${_t%x}"
}
env_lines() { lines_of "$1" "$2" .Config.Env '{{range .Config.Env}}{{.}}{{"\n"}}{{end}}'; }
label_lines() {
  lines_of "$1" "$2" .Config.Labels '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{"\n"}}{{end}}'
}

# What the container has and its image has not, as files that only root can read: values never
# stand in an argument.
own_values() {
  env_lines image "$OLD_IMAGE" >"$WORK/image-env" && env_lines container "$1" >"$WORK/all-env" ||
    { WHY='its environment cannot be read, or has a value of several lines'; return 1; }
  label_lines image "$OLD_IMAGE" >"$WORK/image-labels" && label_lines container "$1" >"$WORK/all-labels" ||
    { WHY='its labels cannot be read, or one has several lines'; return 1; }
  if [ "$ENGINE" = podman ]; then
    # What podman itself puts into every container.
    printf '%s\n' "HOSTNAME=$(about "$1" '{{.Config.Hostname}}')" container=podman container=oci TERM=xterm >>"$WORK/image-env"
  fi
  grep -vxF -f "$WORK/image-env" "$WORK/all-env" >"$WORK/env"
  grep -vxF -f "$WORK/image-labels" "$WORK/all-labels" >"$WORK/labels"
  if grep -q -e '^[[:space:]#=]' -e '^[^=]*$' -e '^[^=]*[[:space:]]' "$WORK/env"; then
    WHY='one of its environment names cannot stand in a file for it'
    return 1
  fi
  if grep -q -e '^[[:space:]#=]' -e '^[^=]*[[:space:]]' "$WORK/labels"; then
    WHY='one of its labels cannot stand in a file for it'
    return 1
  fi
}

# own_word CONTAINER LIST INDEX: one word of a list, with all its newlines.
own_word() {
  REPLY=$(about "$1" "{{index $2 $3}}x") || return 1
  REPLY=${REPLY%x}
}

# What must be the same in both: the engine's own record of the options, without what names the
# container itself, and with the several words for nothing as one. Volumes are compared apart.
host_config() {
  "$ENGINE" container inspect "$1" 2>/dev/null | awk -v id="$1" '
    function depth(l) { match(l, /^[ \t]*/); return RLENGTH }
    /^[ \t]*"HostConfig": \{$/ && !on { on = 1; base = depth($0); next }
    !on { next }
    depth($0) <= base { exit }
    skip != "" { if (depth($0) <= skip) skip = ""; next }
    /"(Binds|ConsoleSize)": \[$/ { skip = depth($0); next }
    /"(Binds|ConsoleSize|ContainerIDFile)":/ { next }
    {
      while (i = index($0, id)) $0 = substr($0, 1, i - 1) "ID" substr($0, i + length(id))
      sub(/,$/, "")
      sub(/: (\[\]|\{\}|""|"no"|0|false)$/, ": null")
      print
    }'
}

mounts_of() {
  about "$1" '{{range .Mounts}}{{.Type}} {{.Name}} {{if eq .Type "bind"}}{{.Source}}{{end}} {{.Destination}} {{.RW}} {{.Propagation}}{{"\n"}}{{end}}' | sort
}
networks_of() {
  about "$1" '{{range $n, $c := .NetworkSettings.Networks}}{{$n}} {{json $c.IPAMConfig}}{{range $c.Aliases}} {{.}}{{end}}{{"\n"}}{{end}}' |
    awk -v id="$(printf '%.12s' "$1")" 'NF {
      line = $1; if ($2 != "null" && $2 != "{}") line = line " " $2
      n = 0; for (i = 3; i <= NF; i++) if ($i != id) a[n++] = $i
      for (i = 0; i < n; i++) for (j = i + 1; j < n; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
      for (i = 0; i < n; i++) line = line " " a[i]
      print line }' | sort
}
plain_of() {
  about "$1" '{{.Config.Tty}} {{.Config.OpenStdin}} {{json .Config.Domainname}}'
}

# same_as_old NEW: whether the new one has all that the old one has; WHY names what it has not.
same_as_old() {
  host_config "$OLD" >"$WORK/old"; host_config "$1" >"$WORK/new"
  [ -s "$WORK/old" ] || { WHY='the engine does not say how it was made'; return 1; }
  if ! cmp -s "$WORK/old" "$WORK/new"; then
    WHY="it cannot be made again just as it is; it would differ in: $(last_words "$(
      awk 'NR == FNR { has[$0]++; next } !($0 in has) || has[$0]-- <= 0' "$WORK/new" "$WORK/old" |
        sed 's/^[ \t]*//' | head -n 2; awk 'NR == FNR { has[$0]++; next } !($0 in has) || has[$0]-- <= 0 { print "now", $0 }' "$WORK/old" "$WORK/new" |
        sed 's/[ \t][ \t]*/ /g' | head -n 2)")"
    return 1
  fi
  mounts_of "$OLD" >"$WORK/old"; mounts_of "$1" >"$WORK/new"
  if grep -vxF -f "$WORK/new" "$WORK/old" | grep -q .; then WHY='it would not have the same volumes and mounts'; return 1; fi
  networks_of "$OLD" >"$WORK/old"; networks_of "$1" >"$WORK/new"
  cmp -s "$WORK/old" "$WORK/new" || { WHY='it would not be in the same networks under the same names'; return 1; }
  [ "$(plain_of "$OLD")" = "$(plain_of "$1")" ] || { WHY='its terminal or its domain name would differ'; return 1; }
  env_lines container "$1" >"$WORK/new"
  if [ -s "$WORK/env" ] && grep -vxF -f "$WORK/new" "$WORK/env" | grep -q .; then WHY='its environment would differ'; return 1; fi
  label_lines container "$1" >"$WORK/new"
  if [ -s "$WORK/labels" ] && grep -vxF -f "$WORK/new" "$WORK/labels" | grep -q .; then WHY='its labels would differ'; return 1; fi
}

forget_new() {
  _id=$(id_of "$CNAME.seawall-new")
  [ -z "$_id" ] || "$ENGINE" rm -f -v "$_id" >/dev/null 2>&1
}

# stop_for_good ID: it stays stopped, whatever restarts the engine.
stop_for_good() {
  if [ "$ENGINE" = docker ]; then
    [ "$RESTART" = no ] || docker update --restart no "$1" >/dev/null 2>&1 || return 1
  fi
  "$ENGINE" stop "$1" >/dev/null 2>&1
}

# put_back: the former container under its own name again, running, its tag restored; the new one
# gone. Looks at what there is, so that it can be called at any point, and again.
put_back() {
  forget_new
  _former=$(id_of "$CNAME.seawall-former")
  _here=$(id_of "$CNAME")
  if [ "$_here" != "$OLD" ]; then
    [ "$_former" = "$OLD" ] || { WHY="$WHY; the former container is not there any more"; return 1; }
    if [ -n "$_here" ]; then
      "$ENGINE" rm -f -v "$_here" >/dev/null 2>&1 || { WHY="$WHY; the new container cannot be removed"; return 1; }
    fi
    "$ENGINE" rename "$OLD" "$CNAME" >/dev/null 2>&1 || { WHY="$WHY; the former container cannot be renamed"; return 1; }
  fi
  if [ "$ENGINE" = docker ] && [ "$RESTART" != no ]; then
    docker update --restart "$RESTART" "$OLD" >/dev/null 2>&1 || { WHY="$WHY; its restart policy cannot be set"; return 1; }
  fi
  _was=$WHY
  image_tag "$OLD_IMAGE" || { WHY="$_was; $WHY"; return 1; }
  _said=$("$ENGINE" start "$OLD" 2>&1) || { WHY="$_was; the former container does not start: $(last_words "$_said")"; return 1; }
  healthy "$OLD" "" || { WHY="$_was; the former container runs again, but $WHY"; return 1; }
  "$ENGINE" rmi "$FORMER_TAG" >/dev/null 2>&1
  WHY=$_was
}

# Nothing was done to the container: the tag is where it was, and what was made is gone.
image_leave() {
  forget_new
  [ -z "${NEW_IMAGE:-}" ] || "$ENGINE" tag "$OLD_IMAGE" "$REF" >/dev/null 2>&1
  "$ENGINE" rmi "$FORMER_TAG" >/dev/null 2>&1
  [ -z "${WORK:-}" ] || rm -rf "$WORK"
  image_end unchanged 1 "$1"
}

update_by_options() {
  image_begin
  if [ "$(id_of "$CNAME")" != "$OLD" ]; then
    if [ "$(id_of "$CNAME.seawall-former")" = "$OLD" ]; then
      # Begun before, and cut off in its midst.
      WHY='it was begun before and did not come to its end'
      if put_back; then image_end went-back 1 "$WHY"; else image_end failed 1 "$WHY"; fi
      return
    fi
    image_leave 'it is no longer the container that was seen: it was recreated since'; return
  fi
  if [ -n "$(id_of "$CNAME.seawall-former")" ]; then
    image_leave "$CNAME.seawall-former is here from an earlier run: remove it, or give it its name back"; return
  fi
  forget_new
  image_fetch || { image_leave "$WHY"; return; }
  work_folder || { image_leave "$WHY"; return; }
  own_values "$OLD" || { image_leave "$WHY"; return; }
  image_tag "$NEW_IMAGE" || { image_leave "$WHY"; return; }
  _said=$(image_create 2>&1) || { image_leave "it could not be made: $(last_words "$_said")"; return; }
  _said=$(image_connect "$CNAME.seawall-new" 2>&1) || { image_leave "it could not be put into its networks: $(last_words "$_said")"; return; }
  NEW=$(id_of "$CNAME.seawall-new")
  runs_image "$NEW" "$NEW_IMAGE" || { image_leave 'it was not made from the image that was fetched'; return; }
  same_as_old "$NEW" || { image_leave "$WHY"; return; }
  rm -rf "$WORK"; WORK=
  LISTENED=$(listening "$OLD")
  WHY=
  if ! stop_for_good "$OLD"; then
    WHY='the former container could not be stopped'
  elif ! "$ENGINE" rename "$OLD" "$CNAME.seawall-former" >/dev/null 2>&1 || ! "$ENGINE" rename "$NEW" "$CNAME" >/dev/null 2>&1; then
    WHY='the containers could not be renamed'
  elif ! _said=$("$ENGINE" start "$NEW" 2>&1); then
    WHY="it does not start: $(last_words "$_said")"
  elif healthy "$NEW" "$LISTENED"; then
    # podman has no way to take a policy away from a container that is there, and its boot unit
    # would start both.
    if [ "$ENGINE:$RESTART" = podman:always ]; then
      "$ENGINE" rm "$OLD" >/dev/null 2>&1
      "$ENGINE" rmi "$FORMER_TAG" >/dev/null 2>&1
      image_end updated 0 'healthy; the former container is not kept, since podman would start it at boot'
      return
    fi
    image_end updated 0 'healthy'
    return
  fi
  if put_back; then image_end went-back 1 "$WHY"; else image_end failed 1 "$WHY"; fi
}

back_by_options() {
  image_begin
  WHY='the host was not well with it'
  if put_back; then image_end went-back 0 "$WHY"; else image_end failed 1 "$WHY"; fi
}

# Its time was up, and it was ended wherever it was.
job_cleanup() {
  image_order
  image_begin
  WHY='its time was up'
  rm -rf "$dir/values"
  if put_back; then image_end went-back 1 "$WHY"; else image_end failed 1 "$WHY"; fi
}
