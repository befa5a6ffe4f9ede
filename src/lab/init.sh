# The first thing that runs in a lab host: puts the private copies of the sysctls in place, marks
# the host as a lab's, and becomes systemd.
copies=/run/host/sysctl
# Or what is unmounted here would be unmounted there as well.
mount --make-rprivate /
for name in @LIVE@; do
    mount --bind "/proc/sys/$name" "$copies/$name"
done
# Each boot's own, which lies on a file without a name that can't be bound.
cat /proc/sys/kernel/random/boot_id >"$copies/kernel/random/boot_id"
# No key can be added, as in the real ones. Kernels before 6.6 can't promise that on a tmpfs.
find "$copies" -xdev -type d -exec chattr +i {} + 2>/dev/null
for area in @AREAS@; do
    mount --rbind "$copies/$area" "/proc/sys/$area"
done
umount -l "$copies"
echo "$1" >/run/seawall-lab
exec /lib/systemd/systemd
