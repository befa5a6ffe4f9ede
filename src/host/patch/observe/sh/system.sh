newline='
'

# tell NAME STATUS TEXT: one section, if it is of a size that the reader takes.
tell() {
  if [ "${#3}" -gt 3000000 ]; then
    frame section "$1" 1 'it is too long to be told'
  else
    frame section "$1" "$2" "$3"
  fi
}

# limited SECONDS PROGRAM…: for no longer than that, where there is `timeout`.
limited() {
  _limit=$1
  shift
  if have timeout; then timeout "$_limit" "$@"; else "$@"; fi
}

# holder FILE…: who has one of them locked, as `PID PROGRAM` in $REPLY; fails where nobody has.
holder() {
  REPLY=
  _inodes=
  while read -r _n _kind _sort _mode _pid _where _span; do
    case $_kind.$_mode.$_pid in POSIX.WRITE.[1-9]*) ;; *) continue ;; esac
    if [ -z "$_inodes" ]; then
      _inodes=" $(stat -L -c %i -- "$@" 2>/dev/null | tr '\n' ' ')"
    fi
    case $_inodes in *" ${_where##*:} "*) ;; *) continue ;; esac
    # The same number may stand for a file of another file system.
    for _fd in "/proc/$_pid/fd"/*; do
      for _file in "$@"; do
        if [ "$_fd" -ef "$_file" ]; then
          program_of "$_pid"
          return 0
        fi
      done
    done
  done 2>/dev/null </proc/locks
  return 1
}

# program_of PID: `PID PROGRAM ARGUMENTS`, cut, in $REPLY.
program_of() {
  REPLY="$1 $(tr '\0\n' '  ' <"/proc/$1/cmdline" 2>/dev/null | head -c 300)"
}

is_root() { [ "$(id -u)" = 0 ]; }

observe_boot() {
  _boot= _up=
  { read -r _boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
  { read -r _up _rest </proc/uptime; } 2>/dev/null
  frame section boot 0 "$_boot $_up"
}

observe_system() {
  slurp /etc/os-release || slurp /usr/lib/os-release || :
  tell os 0 "$REPLY"

  _running= _version= _inside= _newest=
  { read -r _running </proc/sys/kernel/osrelease; } 2>/dev/null
  { read -r _version </proc/version; } 2>/dev/null
  if [ -e /run/systemd/container ] || [ -e /.dockerenv ] || [ -e /run/.containerenv ]; then _inside=1; fi
  for _one in /boot/vmlinuz-*; do
    [ -e "$_one" ] && _newest="$_newest${newline}installed ${_one#/boot/vmlinuz-}"
  done
  if have apt-get && have dpkg-query; then
    manager=apt
    _arch=$(dpkg --print-architecture 2>/dev/null)
  elif have rpm && { have dnf || have dnf5 || have yum; }; then
    manager=dnf
    _arch=$(uname -m)
  else
    manager=none
    _arch=$(uname -m)
  fi
  tell system 0 "arch $_arch
manager $manager
running $_running
version $_version
inside $_inside$_newest"
}

# What is free where packages are fetched to and where they are put.
observe_space() {
  if ! have df; then frame section space 1 'there is no df'; return 0; fi
  _what= _cache=/var/cache/apt/archives
  [ "$manager" = dnf ] && _cache=/var/cache/dnf
  [ -d "$_cache" ] || _cache=/var/cache
  set --
  for _one in "packages $_cache" 'root /' 'boot /boot' 'var /var'; do
    if [ -d "${_one#* }" ]; then
      _what="$_what${_one%% *} "
      set -- "$@" "${_one#* }"
    fi
  done
  _said=$(limited 20 df -P -k -- "$@" 2>/dev/null)
  _rc=$?
  if [ "$_rc" -ne 0 ]; then frame section space 1 "df failed or took too long (status $_rc)"; return 0; fi
  tell space 0 "$_what$newline$_said"
}
