# Jobs of dnf and rpm. `$dir/plan` has a line for each package: KIND NAME ARCH FROM TO, with `-` for
# what there is not; a version is [EPOCH:]VERSION-RELEASE.
umask 022
LANG=C; export LANG
former=${dir%/*}/former
tool=dnf
have dnf || tool=yum
for one in /var/lib/rpm /usr/lib/sysimage/rpm; do
  [ -e "$one/.rpm.lock" ] && lock_files="$one/.rpm.lock"
done
lock_files="${lock_files:-} /run/dnf/rpmtransaction.lock /run/dnf/rpmdb_lock.pid /var/cache/dnf/metadata_lock.pid"

# pm WORD…: never asks, takes nothing away of its own accord.
pm() { "$tool" -y --setopt=clean_requirements_on_remove=False "$@"; }

# stock FILE: all that rpm knows of, with tabs: NAME:ARCH VERSION.
stock() {
  rpm -qa --qf '%{NAME}:%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' 2>/dev/null | sed 's/	0:/	/' | sort >"$dir/$1"
  [ -s "$dir/$1" ] && return
  say error rpm 'the list of installed packages cannot be read'
  job_end 71
}

# changes: says what is another version than in $dir/before, and which configuration files differ.
# A package may be there in several versions (kernels).
changes() {
  stock after
  awk -F '\t' '
    NR == FNR { was[$0] = 1; next }
    { is[$0] = 1; if (!($0 in was)) { came[$1] = came[$1] " " $2 } }
    END {
      for (k in was) if (!(k in is)) { split(k, w, "\t"); went[w[1]] = went[w[1]] " " w[2] }
      for (k in came) {
        n = split(came[k], c, " "); m = split(went[k], g, " ")
        for (i = 1; i <= n; i++) print k, (i <= m ? g[i] : "-"), c[i]
        for (i = n + 1; i <= m; i++) print k, g[i], "-"
        delete went[k]
      }
      for (k in went) { m = split(went[k], g, " "); for (i = 1; i <= m; i++) print k, g[i], "-" }
    }' "$dir/before" "$dir/after" | sort >"$dir/changed"
  while read -r name versions; do say package "$name" "$versions"; done <"$dir/changed"
  find /etc -xdev -type f \( -name '*.rpmnew' -o -name '*.rpmsave' -o -name '*.rpmorig' \) -cnewer "$dir/before" 2>/dev/null |
    sort >"$dir/conffiles"
  while IFS= read -r other; do
    case $other in
      *.rpmnew) say conffile "${other%.*}" "kept $other" ;;
      *) say conffile "${other%.*}" "replaced $other" ;;
    esac
  done <"$dir/conffiles"
}

# consistent: whether what is installed fits together; says what does not.
consistent() {
  limited 120 "$tool" -q check >"$dir/check" 2>/dev/null && [ ! -s "$dir/check" ] && return 0
  head -n 50 "$dir/check" | while IFS= read -r line; do say broken "${line%% *}" "${line#* }"; done
  return 1
}

why() {
  say error "$1" "$(tail -c "+$((marked + 1))" "$dir/log" | grep -i '^error\|^ *problem\|no match for' | tail -n 4 | tr '\n' ' ' | head -c 900)"
}

job_cleanup() { [ ! -e "$dir/before" ] || { changes; consistent; }; }

begin() {
  await_locks
  stock before
}

repair() {
  begin
  consistent || job_end 1
  job_end 0
}

# differs: whether a table of what dnf would do (on stdin) has what is not in $dir/wanted; says it.
differs() {
  awk '
    function row(name, arch, version,   key) {
      sub(/^0:/, "", version)
      key = name " " arch " " (taken ? "-" : version)
      if (!(key in wanted)) print name ":" arch, (taken ? "would be taken away" : "would become " version)
    }
    NR == FNR { wanted[$0] = 1; versions[$1 " " $2] = 1; next }
    /^(Transaction Summary|Operation aborted)/ { on = 0; exit }
    /^[A-Z][A-Za-z ]*:[ ]*$/ { on = ($0 !~ /^Skipping/); taken = ($0 ~ /^Remov/); held = ""; next }
    !on || !/^ / || NF == 0 { next }
    $1 == "replacing" {
      name = $2; arch = $3
      if (NF < 5 && match(name, /\.[^.]*$/)) { arch = substr(name, RSTART + 1); name = substr(name, 1, RSTART - 1) }
      if (!((name " " arch) in versions)) print name ":" arch, "would be replaced"
      next
    }
    NF == 1 { held = $1; next }
    held != "" { row(held, $1, $2); held = ""; next }
    { row($1, $2, $3) }' "$dir/wanted" - >"$dir/differs"
  while read -r name what; do say differs "$name" "$what"; done <"$dir/differs"
  [ -s "$dir/differs" ]
}

# unmet: what of the plan is not there now, in lines NAME:ARCH VERSION.
unmet() {
  awk -F '\t' '
    NR == FNR { is[$1 " " $2] = 1; next }
    { split($0, w, " "); v = w[5]; sub(/^0:/, "", v); key = w[2] ":" w[3]
      if (w[1] != "remove" && !((key " " v) in is)) print key, v }' "$dir/after" "$dir/plan"
}

# plain VERSION: without an epoch of 0, in $REPLY.
plain() { REPLY=${1#0:}; }

upgrade() {
  begin
  set --
  printf '' >"$dir/wanted"
  while read -r kind name arch _from to; do
    plain "$to"
    printf '%s %s %s\n' "$name" "$arch" "$REPLY" >>"$dir/wanted"
    # New ones come because others need them; the table shows whether it is these.
    [ "$kind" != upgrade ] || set -- "$@" "$name-$REPLY.$arch"
  done <"$dir/plan"
  mark
  "$tool" --assumeno --setopt=clean_requirements_on_remove=False upgrade "$@" >"$dir/would" 2>&1
  cat "$dir/would"
  if grep '^Error' "$dir/would" >/dev/null || ! grep '^Transaction Summary' "$dir/would" >/dev/null; then
    why upgrade
    changes
    unmet >"$dir/unmet"
    # All of it may be there already.
    [ -s "$dir/unmet" ] || job_end 0
    job_end 3
  fi
  ! differs <"$dir/would" || job_end 3
  pm upgrade "$@"
  rc=$?
  [ "$rc" = 0 ] || why upgrade
  changes
  unmet >"$dir/unmet"
  while read -r name version; do say stays "$name" "it is not $version"; done <"$dir/unmet"
  [ "$rc" = 0 ] || consistent
  [ "$rc" = 0 ] && [ ! -s "$dir/unmet" ] || job_end 1
  job_end 0
}

download() {
  mkdir -p -m 700 -- "$former"
  full=
  room /var/cache "$((bytes * 2))" || full=1
  room /usr "$grows" || full=1
  [ ! "$full" ] || job_end 28
  await_locks
  set --
  while read -r kind name arch _from to; do
    plain "$to"
    [ "$kind" != upgrade ] || set -- "$@" "$name-$REPLY.$arch"
  done <"$dir/plan"
  if [ "$#" != 0 ]; then
    mark
    pm --downloadonly upgrade "$@" || { why download; job_end 1; }
  fi
  [ "$way_back" = 0 ] || formers
  job_end 0
}

# formers: the files that a way back needs.
formers() {
  set --
  while read -r kind name arch from _to; do
    plain "$from"
    [ "$kind" = new ] || set -- "$@" "$name-$REPLY.$arch"
  done <"$dir/plan"
  [ "$#" != 0 ] || return 0
  pm --downloadonly --downloaddir="$former" reinstall "$@"
  here
  while read -r kind name arch from _to; do
    [ "$kind" != new ] || continue
    plain "$from"
    if file_of "$name:$arch" "$REPLY"; then say former "$name:$arch" archive; else say former "$name:$arch" none; fi
  done <"$dir/plan"
}

# here: which files are put by, with tabs: NAME:ARCH VERSION FILE.
here() {
  printf '' >"$dir/here"
  for file in "$former"/*.rpm; do
    [ -f "$file" ] || continue
    rpm -qp --qf '%{NAME}:%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t' "$file" 2>/dev/null | sed 's/	0:/	/' >>"$dir/here" &&
      printf '%s\n' "$file" >>"$dir/here"
  done
}

# file_of NAME:ARCH VERSION: that file, in $file.
file_of() {
  file=$(awk -F '\t' -v name="$1" -v version="$2" '$1 == name && $2 == version { print $3; exit }' "$dir/here")
  [ "$file" ]
}

back() {
  begin
  here
  files='' taken=''
  while read -r kind name arch from to; do
    if [ "$from" = - ]; then
      plain "$to"
      ! there "$name:$arch" "$REPLY" || taken="$taken $name-$REPLY.$arch"
      continue
    fi
    plain "$from"
    there "$name:$arch" "$REPLY" && continue
    # Paths of ours have no spaces.
    if file_of "$name:$arch" "$REPLY"; then files="$files $file"; else files="$files $name-$REPLY.$arch"; fi
  done <"$dir/plan"
  if [ "$files" ]; then
    mark
    pm --allowerasing downgrade $files || {
      why back
      say note back 'dnf did not do it; rpm is asked itself'
      only=
      for file in $files; do case $file in /*) only="$only $file" ;; esac; done
      [ ! "$only" ] || rpm -Uvh --oldpackage $only
    }
  fi
  [ ! "$taken" ] || pm --noautoremove remove $taken
  changes
  bad=0
  while read -r kind name arch from to; do
    if [ "$from" = - ]; then
      plain "$to"
      there "$name:$arch" "$REPLY" after && bad=1 && say stays "$name:$arch" 'it was not there before'
    else
      plain "$from"
      there "$name:$arch" "$REPLY" after || { bad=1; say stays "$name:$arch" "it was $from before"; }
    fi
  done <"$dir/plan"
  [ "$bad" = 0 ] && consistent || job_end 1
  job_end 0
}

# there NAME:ARCH VERSION [FILE]: whether it is installed, by $dir/before or that one.
there() { grep -Fx "$1	$2" "$dir/${3:-before}" >/dev/null; }
