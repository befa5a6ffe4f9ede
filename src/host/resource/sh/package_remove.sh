_info=/var/lib/dpkg/info
# _keep NAME: a copy of the package for the way back: as it came, or packed from what is there.
_keep() {
  _a=$(dpkg-query -W -f '${Architecture}' -- "$1") && _v=$(dpkg-query -W -f '${Version}' -- "$1") || return 1
  _b=${1%%:*}
  case $_v in *:*) _e=${_v%%:*}%3a${_v#*:} ;; *) _e=$_v ;; esac
  _f="/var/cache/apt/archives/${_b}_${_e}_${_a}.deb"
  if [ -f "$_f" ] && cp -- "$_f" "$store/$step.debs/"; then return 0; fi
  if (cd "$store/$step.debs" && _apt -o APT::Sandbox::User=root -o Acquire::Retries=0 -o Acquire::http::Timeout=15 \
    -o Acquire::https::Timeout=15 download "$1=$_v") >/dev/null 2>&1; then return 0; fi
  _d="$store/$step.tree"
  rm -rf -- "$_d"
  mkdir -p -- "$_d/DEBIAN" || return 1
  dpkg-query -s -- "$1" | sed -e '/^Status:/d' -e '/^Config-Version:/d' \
    -e '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d;}' >"$_d/DEBIAN/control" || return 1
  for _i in "$_info/$_b".* "$_info/$_b:$_a".*; do
    [ -f "$_i" ] || continue
    _x=${_i#"$_info/$_b."}
    _x=${_x#"$_info/$_b:$_a."}
    case $_x in */* | *.* | list | md5sums) continue ;; esac
    cp -p -- "$_i" "$_d/DEBIAN/$_x" || return 1
  done
  dpkg-query -L -- "$1" | while IFS= read -r _f; do
    case $_f in
    # On a merged host these are links, and of no package of today.
    /. | /bin | /sbin | /lib | /lib32 | /lib64 | /libx32) ;;
    /*) if [ -e "$_f" ] || [ -L "$_f" ]; then printf '%s\n' "${_f#/}"; fi ;;
    esac
  done >"$store/$step.files"
  tar -C / --no-recursion -cf "$store/$step.tar" -T "$store/$step.files" &&
    tar -C "$_d" -xpf "$store/$step.tar" && dpkg-deb -b "$_d" "$store/$step.debs/" || return 1
  rm -rf -- "$_d" "$store/$step.tar" "$store/$step.files"
}
_take remove "$names" || return 1
rm -rf -- "$store/$step.debs"
mkdir -- "$store/$step.debs" || return 1
apt-mark showauto $names >"$store/$step.auto" 2>/dev/null
for _n in $names; do
  _keep "$_n" >/dev/null || {
    rm -rf -- "$store/$step.debs"
    echo "no copy of $_n can be kept for the way back, so it stays" >&2
    return 1
  }
done
_apt remove -- $names
