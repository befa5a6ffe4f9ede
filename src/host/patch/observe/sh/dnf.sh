dnf=dnf
have dnf || dnf=dnf5
have "$dnf" || dnf=yum

observe_dnf_lock() {
  if ! is_root; then frame section lock 1 'root rights are needed to see who holds a lock'; return 0; fi
  REPLY=
  for _one in /var/lib/dnf/rpmdb_lock.pid /var/cache/dnf/metadata_lock.pid /var/cache/dnf/download_lock.pid; do
    _pid=
    { read -r _pid <"$_one"; } 2>/dev/null
    case $_pid in
    '' | *[!0-9]*) ;;
    *) if [ -d "/proc/$_pid" ]; then program_of "$_pid"; break; fi ;;
    esac
  done
  [ "$REPLY" ] || holder /var/lib/rpm/.rpm.lock /usr/lib/sysimage/rpm/.rpm.lock || :
  tell lock 0 "$REPLY"
}

# observe_dnf_refresh SECONDS: dnf itself waits for another dnf.
observe_dnf_refresh() {
  _said=$(limited $((600 + $1)) "$dnf" -q makecache --refresh 2>&1)
  _rc=$?
  [ "$_rc" -eq 124 ] && _said='fetching the lists, or waiting for another dnf, took too long'
  tell refresh "$_rc" "$(printf '%s' "$_said" | head -c 8000)"
}

observe_dnf_installed() {
  _said=$(rpm -qa --qf '%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{SIZE}\t%{INSTALLTIME}\n' 2>/dev/null)
  tell rpm "$?" "$_said"
  _all=
  for _one in /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list /etc/dnf/versionlock.toml; do
    [ -f "$_one" ] && slurp "$_one" && _all="$_all$newline$REPLY"
  done
  [ -f /etc/dnf/dnf.conf ] && _all="$_all$newline$(grep -E '^(exclude|excludepkgs)[ =]' /etc/dnf/dnf.conf)"
  tell versionlock 0 "$_all"
  # Since when the host is up: of process 1, for a container's sake.
  _start=0 _since=0 _stat=
  { read -r _stat </proc/1/stat; } 2>/dev/null
  _stat=${_stat##*) }
  set -f
  set -- $_stat
  set +f
  [ $# -ge 20 ] && _start=${20}
  while read -r _key _value _rest; do
    [ "$_key" = btime ] && _since=$_value
  done 2>/dev/null </proc/stat
  tell reboot 0 "$((_since + _start / 100))"
}

# What a full upgrade would do, from the lists that are there; the rest only where that is something.
# dnf takes a second for each question.
observe_dnf_offers() {
  _table=$(limited 300 "$dnf" -C --nobest upgrade --assumeno 2>&1)
  tell transaction "$?" "$_table"
  _locked=
  case $_all in *[!\ $newline]*) _locked=1 ;; esac
  case $_table in *'Transaction Summary'*) ;; *) [ "$_locked" ] || return 0 ;; esac
  if [ "$_locked" ]; then
    _said=$(limited 120 "$dnf" -C -q --disableplugin=versionlock --disableexcludes=all repoquery --upgrades --qf '%{name}|%{epoch}:%{version}-%{release}|%{arch}|%{repoid}|%{downloadsize}|%{installsize}|%{vendor}\n' 2>/dev/null)
    tell locked "$?" "$_said"
  fi
  _old_ifs=$IFS
  IFS=$newline
  set -f
  set --
  for _line in $_table; do
    case $_line in
    ' '[A-Za-z0-9]*)
      _name=${_line# }
      set -- "$@" "${_name%% *}"
      ;;
    ' '*' replacing '*)
      # `replacing  NAME.ARCH VERSION`
      _name=${_line##*replacing }
      _name=${_name# }
      _name=${_name%% *}
      set -- "$@" "${_name%.*}"
      ;;
    esac
  done
  set +f
  IFS=$_old_ifs
  if [ $# -gt 0 ]; then
    _said=$(limited 120 "$dnf" -C -q repoquery --qf '%{name}|%{epoch}:%{version}-%{release}|%{arch}|%{repoid}|%{downloadsize}|%{installsize}|%{vendor}\n' -- "$@" 2>/dev/null)
    tell upgrades "$?" "$_said"
  fi
  _said=$(limited 120 "$dnf" -C -q updateinfo list --updates 2>/dev/null)
  tell advisories "$?" "$_said"
  _said=$(limited 120 "$dnf" -C -q updateinfo list --updates --with-cve 2>/dev/null)
  tell cves "$?" "$_said"
  _said=$(limited 120 "$dnf" -C -q repoquery --userinstalled --qf '%{name}\n' 2>/dev/null)
  tell wanted "$?" "$_said"
  set -- /var/cache/dnf/*/packages/*.rpm
  _said=
  [ -e "$1" ] && _said=$(stat -c '%s %n' -- "$@" 2>/dev/null)
  tell archives 0 "$_said"
}
