umask 022
DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true UCF_FORCE_CONFFOLD=1
NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none APT_LISTBUGS_FRONTEND=none
export DEBIAN_FRONTEND DEBCONF_NONINTERACTIVE_SEEN UCF_FORCE_CONFFOLD
export NEEDRESTART_SUSPEND APT_LISTCHANGES_FRONTEND APT_LISTBUGS_FRONTEND
_apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold -o Acquire::Retries=1 "$@"
}
# What dpkg knows, one line for each package.
_list() { dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' | sort; }
_is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' -- "$1" 2>/dev/null)" = installed ]; }
# _others NAMES: which packages a simulation (standard input) would take or bring besides these.
_others() {
  while read -r _w _p _r; do
    case $_w in
    Remv | Purg) case " $1 " in *" $_p "* | *" ${_p%%:*} "*) ;; *) printf ' %s' "$_p" ;; esac ;;
    Inst) printf ' %s (new)' "$_p" ;;
    esac
  done
}
# _take VERB NAMES: removes or purges these, and refuses where anything else would go.
_take() {
  _sim=$(_apt -s "$1" -- $2 2>&1) || { printf '%s\n' "$_sim" | tail -n 3 >&2; return 1; }
  _more=$(printf '%s\n' "$_sim" | _others "$2")
  [ -z "$_more" ] || { echo "apt would also change:$_more" >&2; return 1; }
}
