# What each script that stays on a host begins with.
set -u
umask 077
LC_ALL=C; export LC_ALL
unset LANG LANGUAGE CDPATH ENV BASH_ENV GREP_OPTIONS POSIXLY_CORRECT TMPDIR 2>/dev/null
IFS=' 	
'
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
HOME=${HOME:-/root}; export HOME
have() { command -v "$1" >/dev/null 2>&1; }
slurp() {
  REPLY=
  [ -r "$1" ] || return 1
  while IFS= read -r _l || [ -n "$_l" ]; do REPLY="$REPLY${REPLY:+
}$_l"; done 2>/dev/null <"$1"
}
