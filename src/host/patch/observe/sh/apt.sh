apt_locks='/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock'

observe_apt_lock() {
  if ! is_root; then frame section lock 1 'root rights are needed to see who holds a lock'; return 0; fi
  if [ ! -r /proc/locks ]; then frame section lock 1 '/proc/locks may not be read'; return 0; fi
  holder $apt_locks
  tell lock 0 "$REPLY"
}

# observe_apt_refresh SECONDS: fetches the lists; waits so long for another one who holds them.
observe_apt_refresh() {
  _waited=0
  while :; do
    _said=$(limited 600 apt-get -qq -o APT::Update::Error-Mode=any update 2>&1)
    _rc=$?
    [ "$_rc" -eq 0 ] && break
    case $_said in *'Could not get lock'* | *'Unable to lock'*) ;; *) break ;; esac
    holder $apt_locks && _said="the lists are locked by $REPLY (waited for ${_waited} s)"
    [ "$_waited" -lt "$1" ] || break
    sleep 1
    _waited=$((_waited + 1))
  done
  [ "$_rc" -eq 124 ] && _said='fetching the lists took more than 600 s'
  tell refresh "$_rc" "$(printf '%s' "$_said" | head -c 8000)"
}

# All packages, in one reading; then what marks them.
observe_apt_installed() {
  _said=$(dpkg-query -W -f '${Package}\t${Architecture}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\t${source:Package}\t${source:Version}\t${Installed-Size}\n' 2>/dev/null)
  tell dpkg "$?" "$_said"
  _said=
  if [ -r /var/lib/apt/extended_states ]; then
    _said=$(grep -E '^(Package|Architecture|Auto-Installed):' /var/lib/apt/extended_states 2>/dev/null)
    [ $? -le 1 ] || { frame section automatic 1 'apt'"'"'s extended_states cannot be read'; return 0; }
  fi
  tell automatic 0 "$_said"
  _said=
  for _one in /var/lib/dpkg/updates/[0-9]*; do [ -e "$_one" ] && _said="$_said${_one##*/} "; done
  tell updates 0 "$_said"
}

has_pins() {
  for _one in /etc/apt/preferences /etc/apt/preferences.d/*; do [ -f "$_one" ] && return 0; done
  return 1
}

# observe_apt_offers OPTION…: what a full upgrade would do, and, only where there is something to
# tell, where it comes from and how large it is.
observe_apt_offers() {
  set -- -s -V -o Debug::NoLocking=1 -o APT::Get::AutomaticRemove=false -o APT::Output-Version=0 -o APT::Get::Show-User-Simulation-Note=0 "$@"
  _sim=$(limited 300 apt-get "$@" dist-upgrade 2>&1)
  _rc=$?
  tell simulated "$_rc" "$_sim"
  [ "$_rc" -eq 0 ] || return 0
  # What of it can be had without taking anything away.
  case $newline$_sim in *"$newline"Remv\ *)
    _said=$(limited 300 apt-get "$@" --with-new-pkgs upgrade 2>&1)
    tell gentle "$?" "$_said"
    ;;
  esac

  case $_sim in *"$newline"Inst\ * | *"$newline"Remv\ * | *' => '*) ;; *) has_pins || return 0 ;; esac

  _policy=$(limited 120 apt-cache policy 2>/dev/null)
  tell policy "$?" "$_policy"
  _old_ifs=$IFS
  IFS=$newline
  set -f
  set --
  for _line in $_policy; do
    case $_line in '     '*' -> '*)
      _name=${_line#     }
      _name=${_name%% *}
      case $_name in -* | '') ;; *) [ $# -lt 500 ] && set -- "$@" "$_name" ;; esac
      ;;
    esac
  done
  _new= _files=
  for _line in $_sim; do
    case $_line in
    'Inst '* | 'Remv '*) _name=${_line#???? } ;;
    '   '*' => '*) _name=${_line#   } ;;
    *) continue ;;
    esac
    _name=${_name%% *}
    case $_name in -* | '') continue ;; esac
    set -- "$@" "$_name"
    case $_line in 'Inst '*'('*)
      _version=${_line#*\(}
      _version=${_version%% *}
      _new="$_new$newline$_name=${_version%)}"
      _arch=${_line##*\[}
      _arch=${_arch%%\]*}
      # apt writes the colon of an epoch so.
      case $_version in *:*) _version=${_version%%:*}%3a${_version#*:} ;; esac
      _files="$_files$newline${_name%%:*}_${_version}_$_arch"
      ;;
    esac
  done
  if [ $# -gt 0 ]; then
    _said=$(limited 120 apt-cache policy -- "$@" 2>/dev/null)
    tell versions "$?" "$_said"
  fi
  if [ "$_new" ]; then
    set -- $_new
    _said=$(limited 120 apt-cache show -- "$@" 2>/dev/null | grep -E '^(Package|Version|Architecture|Installed-Size|Size|Depends|Pre-Depends|Recommends):')
    tell sizes 0 "$_said"
  fi
  set +f
  IFS=$_old_ifs
  set -- /var/cache/apt/archives/*.deb
  _said=
  [ -e "$1" ] && _said=$(stat -c '%s %n' -- "$@" 2>/dev/null)
  tell archives 0 "$_said"
  apt_changelogs
}

# Of what was downloaded already: who it is, what is told of each version, and of vulnerabilities.
apt_changelogs() {
  _all= _count=0
  IFS=$newline
  set -f
  for _file in $_files; do
    _deb=/var/cache/apt/archives/$_file.deb
    [ -s "$_deb" ] || continue
    _count=$((_count + 1))
    [ "$_count" -le 100 ] && [ "${#_all}" -lt 1000000 ] || break
    _name=${_file%%_*}
    _doc=./usr/share/doc/$_name
    _said=$(limited 20 dpkg-deb --fsys-tarfile "$_deb" 2>/dev/null |
      tar -xO -f - "$_doc/changelog.Debian.gz" "$_doc/changelog.gz" 2>/dev/null | gzip -dc 2>/dev/null |
      head -c 2000000 | grep -E '^[a-z0-9][^ ]* \(|CVE-' | head -c 30000)
    [ "$_said" ] && _all="$_all@$_file$newline$_said$newline"
  done
  set +f
  IFS=$_old_ifs
  tell changelogs 0 "$_all"
}

observe_apt_reboot() {
  _said=
  if [ -e /run/reboot-required ]; then
    slurp /run/reboot-required.pkgs || :
    _said="required$newline$REPLY"
  fi
  tell reboot 0 "$_said"
}
