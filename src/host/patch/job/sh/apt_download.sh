# put_by FILE: a file of the former version, into the run's own folder.
put_by() {
  [ -s "$archives/$1" ] || return 1
  [ ! -e "$former/$1" ] || return 0
  ln -- "$archives/$1" "$former/$1" 2>/dev/null ||
    { cp -- "$archives/$1" "$former/$1.part" && mv -f -T -- "$former/$1.part" "$former/$1"; } || return 1
  # A cache may hold a file that was cut off.
  dpkg-deb -f "$former/$1" Package >/dev/null 2>&1 || { rm -f -- "$former/$1"; return 1; }
}

download() {
  part=download
  archive_dir
  mkdir -p -m 700 -- "$former"
  # Twice: the former versions are about as large as the new ones.
  full=
  room "$archives" "$((bytes * 2))" || full=1
  room /usr "$grows" || full=1
  [ ! "$full" ] || job_end 28
  await_locks
  set --
  while read -r kind name arch _from to _rest; do
    # New ones come as those need them, here as in the upgrade.
    [ "$kind" != upgrade ] || set -- "$@" "$name:$arch=$to"
  done <"$dir/plan"
  if [ "$#" != 0 ]; then
    mark
    apt_get --download-only install -- "$@" || { why download; job_end 1; }
  fi
  [ "$way_back" = 0 ] || formers
  while read -r kind name arch from _to _auto _way _old new; do
    [ "$kind" != upgrade ] || closes "$name" "$arch" "$from" "$archives/$new"
  done <"$dir/plan"
  job_end 0
}

# formers: the files that a way back needs; says for each where it came from.
formers() {
  set --
  while read -r kind name arch from _to _auto _way old _new; do
    [ "$kind" != new ] || continue
    if put_by "$old"; then say former "$name:$arch" cache; else set -- "$@" "$name:$arch=$from"; fi
  done <"$dir/plan"
  [ "$#" != 0 ] || return 0
  asked=" $* "
  # It is installed, so that apt fetches it as if to install it anew.
  apt_get --reinstall --download-only install -- "$@"
  while read -r kind name arch from _to _auto _way old _new; do
    case $asked in *" $name:$arch=$from "*) ;; *) continue ;; esac
    if put_by "$old"; then
      say former "$name:$arch" archive
    elif have dpkg-repack && (cd "$former" && dpkg-repack "$name:$arch" >/dev/null 2>&1) &&
      set -- "$former/${name}_"*"_$arch.deb" && [ -f "$1" ]; then
      [ "$1" = "$former/$old" ] || mv -f -T -- "$1" "$former/$old"
      say former "$name:$arch" 'repack'
    else
      say former "$name:$arch" none
    fi
  done <"$dir/plan"
}

# closes NAME ARCH FROM FILE: the CVE ids in what the new file's changelog has above the version
# that is installed. Says nothing where there is no changelog to read.
closes() {
  [ -s "$4" ] || return 0
  # Of both names at most one is Debian's own; what follows it is cut off with the older entries.
  limited 60 dpkg-deb --fsys-tarfile "$4" |
    tar -xO "./usr/share/doc/$1/changelog.Debian.gz" "./usr/share/doc/$1/changelog.gz" 2>/dev/null |
    gzip -dcq 2>/dev/null | head -c 1048576 >"$dir/changelog"
  [ -s "$dir/changelog" ] || return 0
  until=$3
  # Mostly the installed version stands there; where it does not, dpkg says which is older.
  grep -F "($3)" "$dir/changelog" >/dev/null || older "$3" || return 0
  ids=$(awk -v until="($until)" '
    /^[a-z0-9][^ ]* \([^)]*\).*;/ && $2 == until { exit }
    {
      while (match($0, /CVE-[0-9][0-9][0-9][0-9]-[0-9]+/)) {
        id = substr($0, RSTART, RLENGTH)
        $0 = substr($0, RSTART + RLENGTH)
        if (!(id in known) && n++ < 200) { known[id]; printf "%s ", id }
      }
    }' "$dir/changelog")
  say closes "$1:$2" "$ids"
}

# older FROM: the first version in the changelog that is not newer than FROM, in $until. Where the
# changelog does not reach back so far, it is not known what is new in it.
older() {
  heads=0
  while IFS= read -r line; do
    case $line in
      [a-z0-9]*' ('*')'*';'*)
        until=${line#*(}
        until=${until%%)*}
        heads=$((heads + 1))
        [ "$heads" -le 60 ] || return 1
        ! dpkg --compare-versions "$until" le "$1" || return 0
        ;;
    esac
  done <"$dir/changelog"
  return 1
}
