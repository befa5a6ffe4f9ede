# Started before the first change of a run; undoes the run unless it is told to keep in time.
# Needs nobody: not the connection, not sshd, not the controller.
trap '' HUP PIPE
sign "$store/watching"
blind=0
while :; do
  IFS= read -r owner 2>/dev/null <"$base/pending" || owner=
  [ "$owner" = "$run" ] || exit 0
  read -r up rest </proc/uptime
  IFS= read -r deadline 2>/dev/null <"$store/deadline" || deadline=
  case $deadline in
    '' | *[!0-9]*)
      # It is being written this instant; if it stays so, that is no reason to wait for ever.
      blind=$((blind + 1))
      [ "$blind" -lt 30 ] || break
      ;;
    *)
      blind=0
      [ "${up%%.*}" -lt "$deadline" ] || break
      ;;
  esac
  sleep 1
done
claim "$run" || exit 0
undo_all "$store"
