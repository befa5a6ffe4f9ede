#!/bin/sh
# apt tells here what it is about to do, with its lock held. What is not in the plan ends it before
# anything is done.
dir=${0%/*}
LC_ALL=C; export LC_ALL
set -f
wanted="
$(cat "$dir/wanted")
"
planned() { case $wanted in *"
$1 $2 $3
"*) ;; *) return 1 ;; esac; }
head=1 bad=0
while IFS= read -r line; do
  if [ "$head" ]; then
    [ "$line" ] || head=
    continue
  fi
  # NAME OLD ARCH KIND SIGN NEW ARCH KIND FILE
  set -- $line
  [ "$#" -ge 9 ] || { printf '%s is not understood\n' "${1:--}" >>"$dir/differs"; bad=1; continue; }
  case $9 in
    '**CONFIGURE**') continue ;;
    '**REMOVE**' | '**PURGE**')
      planned "$1" "$3" - && continue
      printf '%s:%s would be taken away\n' "$1" "$3" >>"$dir/differs"
      ;;
    *)
      planned "$1" "$7" "$6" && continue
      printf '%s:%s would go from %s to %s\n' "$1" "$7" "$2" "$6" >>"$dir/differs"
      ;;
  esac
  bad=1
done
# Words that cannot be read are no consent.
[ ! "$head" ] || { printf 'apt said nothing that is understood\n' >>"$dir/differs"; bad=1; }
[ "$bad" != 0 ] || printf '' >"$dir/agreed"
exit "$bad"
