# Jobs of apt and dpkg. `$dir/plan` has a line for each package: KIND NAME ARCH FROM TO AUTO WAY
# OLD NEW, with `-` for what there is not; OLD and NEW are the names of their files. `$conffiles` is
# keep or replace, `$lock_wait` in seconds.
DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical LANG=C
NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none APT_LISTBUGS_FRONTEND=none
export DEBIAN_FRONTEND DEBIAN_PRIORITY LANG
export NEEDRESTART_MODE NEEDRESTART_SUSPEND APT_LISTCHANGES_FRONTEND APT_LISTBUGS_FRONTEND
# What packages write is for everyone to read, as it is when a person runs apt.
umask 022
former=${dir%/*}/former
if [ "$conffiles" = replace ]; then
  UCF_FORCE_CONFFNEW=1; export UCF_FORCE_CONFFNEW
  conf_options='--force-confnew'
else
  UCF_FORCE_CONFFOLD=1; export UCF_FORCE_CONFFOLD
  conf_options='--force-confdef --force-confold'
fi

# apt_get WORD…: never asks, has no terminal that a package could ask on, takes nothing that is not
# named, and takes nothing away of its own accord.
apt_get() {
  _dpkg=
  for _o in $conf_options; do _dpkg="$_dpkg -o Dpkg::Options::=$_o"; done
  apt-get -q -y $_dpkg -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 \
    -o APT::Get::AutomaticRemove=false -o APT::Install-Recommends=false -o APT::Color=0 "$@"
}

# archive_dir: where apt keeps what it has fetched, in $archives.
archive_dir() {
  archives=$(apt-config shell it Dir::Cache::Archives/d 2>/dev/null)
  archives=${archives#it=\'}
  archives=${archives%\'}
  archives=${archives%/}
  [ -d "$archives" ] || archives=/var/cache/apt/archives
  lock_files="/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock $archives/lock"
}

# stock FILE: all that dpkg knows of, with tabs: NAME:ARCH VERSION STATUS FLAG.
stock() {
  dpkg-query -W -f '${Package}:${Architecture}\t${Version}\t${db:Status-Status}\t${db:Status-Eflag}\n' >"$dir/$1" 2>/dev/null &&
    [ -s "$dir/$1" ] && return
  say error dpkg 'the list of installed packages cannot be read'
  job_end 71
}

# changes: says what is another version than in $dir/before, what is half-installed now, and which
# configuration files differ. The number of the half-installed is in $broken.
changes() {
  stock after
  awk -F '\t' '
    function there(s) { return s != "not-installed" && s != "config-files" }
    NR == FNR { if (there($3)) was[$1] = $2 == "" ? "?" : $2; next }
    there($3) { is[$1] = $2 == "" ? "?" : $2 }
    END {
      for (k in was) { to = (k in is) ? is[k] : "-"; if (to != was[k]) print k, was[k], to }
      for (k in is) if (!(k in was)) print k, "-", is[k]
    }' "$dir/before" "$dir/after" | sort >"$dir/changed"
  while read -r name versions; do say package "$name" "$versions"; done <"$dir/changed"
  awk -F '\t' '
    ($3 != "installed" && $3 != "not-installed" && $3 != "config-files") || $4 != "ok" {
      print $1, ($4 == "ok" ? $3 : $3 "," $4)
    }' "$dir/after" >"$dir/broken"
  broken=0
  while read -r name state; do
    broken=$((broken + 1))
    say broken "$name" "$state"
  done <"$dir/broken"
  {
    # The time of the change of name: a package brings the other times along.
    find /etc -xdev -type f \( -name '*.dpkg-dist' -o -name '*.dpkg-old' -o -name '*.ucf-dist' -o -name '*.ucf-old' \) \
      -cnewer "$dir/before" 2>/dev/null
    sed -n "s/^Configuration file '\(.*\)'\$/\1/p" "$dir/log" | while IFS= read -r path; do
      for other in "$path.dpkg-dist" "$path.dpkg-old"; do
        [ "$other" -nt "$dir/before" ] && printf '%s\n' "$other"
        case $path in /etc/*) ;; *) [ -e "$other" ] && printf '%s\n' "$other" ;; esac
      done
    done
  } | sort -u >"$dir/conffiles"
  while IFS= read -r other; do
    case $other in
      *-dist) say conffile "${other%.*}" "kept $other" ;;
      *) say conffile "${other%.*}" "replaced $other" ;;
    esac
  done <"$dir/conffiles"
}

# why WHAT: says what apt called errors since `mark`.
why() {
  say error "$1" "$(tail -c "+$((marked + 1))" "$dir/log" | grep '^E: \|^dpkg: error' | tail -n 4 | tr '\n' ' ' | head -c 900)"
}

# configure: whatever was unpacked and not set up.
configure() { limited "$1" dpkg $conf_options --configure -a; }

# guarded WORD…: apt_get, which is ended before it begins where it would do what is not in
# $dir/wanted (lines NAME ARCH VERSION, `-` for taken away). 3: nothing was begun.
guarded() {
  rm -f -- "$dir/differs" "$dir/agreed"
  printf '%s' "$hook_text" >"$dir/hook" && chmod 700 "$dir/hook" || return 1
  apt_get -o "DPkg::Pre-Install-Pkgs::=$dir/hook" -o "DPkg::Tools::Options::$dir/hook::Version=3" "$@"
  rc=$?
  [ "$rc" != 0 ] && [ ! -e "$dir/agreed" ] || return "$rc"
  [ -s "$dir/differs" ] || return 3
  while read -r name what; do say differs "$name" "$what"; done <"$dir/differs"
  return 3
}

# auto: those that only dependencies brought in are marked so again (a name on the command line
# makes them wanted for themselves).
auto() {
  set --
  while read -r kind name arch _from _to automatic _rest; do
    [ "$automatic" = 1 ] || continue
    case "$part $kind" in 'upgrade remove' | 'upgrade new' | 'back new') continue ;; esac
    set -- "$@" "$name:$arch"
  done <"$dir/plan"
  [ "$#" = 0 ] || apt-mark auto -- "$@" >/dev/null 2>&1 || say note marks "apt-mark auto $*: failed"
}

job_cleanup() {
  archive_dir
  [ ! -e "$dir/acts" ] || configure "$((limit < 150 ? limit : 150))"
  [ ! -e "$dir/before" ] || changes
}

# begin PART: who is at it is waited for, what is there is kept in mind.
begin() {
  part=$1
  archive_dir
  await_locks
  stock before
  printf '' >"$dir/acts"
}

repair() {
  begin repair
  configure "$((limit / 2))"
  half_installed >"$dir/half"
  # Only what does not take anything away; a person decides about the rest.
  if [ -s "$dir/half" ] || ! apt-get -q check >/dev/null 2>&1; then
    mark
    if ! apt-get -s -o Debug::NoLocking=1 -f install >"$dir/would" 2>&1; then
      say error repair "apt-get -f install finds no way: $(grep '^E: ' "$dir/would" | head -c 400)"
    elif grep '^Remv ' "$dir/would" >/dev/null; then
      say error repair "apt-get -f install would take packages away: $(sed -n 's/^Remv \([^ ]*\).*/\1/p' "$dir/would" | tr '\n' ' ' | head -c 400)"
    else
      apt_get --no-remove -f install || why repair
    fi
    # What was cut off while it was being unpacked has to be unpacked anew.
    half_installed >"$dir/half"
    set --
    while read -r name; do set -- "$@" "$name"; done <"$dir/half"
    [ "$#" = 0 ] || apt_get --no-remove --reinstall install -- "$@" || why repair
  fi
  changes
  [ "$broken" = 0 ] || job_end 1
  job_end 0
}

# half_installed: packages that only a new unpacking mends.
half_installed() {
  dpkg-query -W -f '${Package}:${Architecture} ${db:Status-Status} ${db:Status-Eflag}\n' 2>/dev/null |
    awk '$3 == "reinstreq" || $2 == "half-installed" { print $1 }'
}

upgrade() {
  begin upgrade
  removes=--no-remove
  set --
  printf '' >"$dir/wanted"
  while read -r kind name arch _from to _rest; do
    case $kind in
      remove)
        removes=
        set -- "$@" "$name:$arch-"
        printf '%s %s -\n' "$name" "$arch" >>"$dir/wanted"
        ;;
      # It comes where one of the others needs it, and not without that.
      new) printf '%s %s %s\n' "$name" "$arch" "$to" >>"$dir/wanted" ;;
      *)
        set -- "$@" "$name:$arch=$to"
        printf '%s %s %s\n' "$name" "$arch" "$to" >>"$dir/wanted"
        ;;
    esac
  done <"$dir/plan"
  mark
  guarded $removes install -- "$@"
  rc=$?
  if [ "$rc" != 0 ]; then
    why upgrade
    if [ "$rc" = 3 ]; then
      auto
      job_end 3
    fi
    # One try to end in good order what had begun.
    [ "$(dpkg-query -W -f '${db:Status-Status}\n' | grep -c '^unpacked$\|^half-configured$\|^triggers-')" = 0 ] ||
      configure "$((limit / 2))"
  fi
  auto
  changes
  [ "$rc" = 0 ] && [ "$broken" = 0 ] || job_end 1
  job_end 0
}
