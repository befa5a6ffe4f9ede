# todo: what is not as it was before, from $dir/plan and what is installed, in $dir/todo: `put NAME
# ARCH VERSION FILE` or `take NAME ARCH`.
todo() {
  awk -F '\t' '
    NR == FNR { version[$1] = $2; status[$1] = $3; flag[$1] = $4; next }
    {
      split($0, w, " "); key = w[2] ":" w[3]; s = (key in status) ? status[key] : "not-installed"
      there = s != "not-installed" && s != "config-files"
      if (w[4] == "-") { if (there) print "take", w[2], w[3] }
      else if (!there || version[key] != w[4] || s != "installed" || flag[key] != "ok") print "put", w[2], w[3], w[4], w[8]
    }' "$dir/$1" "$dir/plan" >"$dir/todo"
}

back() {
  begin back
  # An interrupted dpkg has to write down first what it had done.
  for one in /var/lib/dpkg/updates/[0-9]*; do
    [ ! -e "$one" ] || { configure "$((limit / 4))"; break; }
  done
  stock now
  todo now
  if [ ! -s "$dir/todo" ]; then
    say note back 'everything is as it was before'
    auto
    changes
    [ "$broken" = 0 ] || job_end 1
    job_end 0
  fi
  set --
  removes=--no-remove
  missing=
  printf '' >"$dir/wanted"
  while read -r work name arch version file; do
    if [ "$work" = take ]; then
      removes=
      set -- "$@" "$name:$arch-"
      printf '%s %s -\n' "$name" "$arch" >>"$dir/wanted"
      continue
    fi
    printf '%s %s %s\n' "$name" "$arch" "$version" >>"$dir/wanted"
    if [ -f "$former/$file" ]; then
      set -- "$@" "$former/$file"
    elif [ -f "$archives/$file" ]; then
      set -- "$@" "$archives/$file"
    else
      missing="$missing $name"
      set -- "$@" "$name:$arch=$version"
    fi
  done <"$dir/todo"
  [ ! "$missing" ] || say note back "no file of the former version is here, the archive is asked:$missing"
  mark
  guarded $removes --allow-downgrades --reinstall install -- "$@" || {
    why back
    by_hand
  }
  auto
  changes
  todo after
  while read -r work name arch version file; do
    say stays "$name:$arch" "$([ "$work" = take ] && echo 'it was not there before' || echo "it was $version before")"
  done <"$dir/todo"
  [ ! -s "$dir/todo" ] && [ "$broken" = 0 ] || job_end 1
  job_end 0
}

# by_hand: dpkg itself, where apt finds no way.
by_hand() {
  say note back 'apt-get did not do it; dpkg is asked itself'
  set --
  while read -r work name arch version file; do
    [ "$work" = put ] || continue
    if [ -f "$former/$file" ]; then set -- "$@" "$former/$file"
    elif [ -f "$archives/$file" ]; then set -- "$@" "$archives/$file"; fi
  done <"$dir/todo"
  [ "$#" = 0 ] || dpkg $conf_options --force-downgrade --auto-deconfigure -i -- "$@"
  set --
  while read -r work name arch _rest; do
    [ "$work" != take ] || set -- "$@" "$name:$arch"
  done <"$dir/todo"
  [ "$#" = 0 ] || dpkg --remove -- "$@"
  configure "$((limit / 4))"
}
