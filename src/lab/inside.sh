# The life of one lab host, seen from the machine: runs in a mount and a network namespace of its
# own and in the host's cgroup, and all that it mounts goes when its last process goes.
# Waits for the word that the host's cable is there; a parent that died says nothing.
set -eu
read -r word
[ "$word" = go ] || exit 1
exec </dev/null

# systemd-nspawn leaves folders in /run: it gets one of its own, with the lab in it.
cd /
mkdir -p "$SW_HOST/run"
mount -n -t tmpfs -o mode=0755 seawall-lab "$SW_HOST/run"
mkdir -p "$SW_HOST$SW_LAB"
mount -n --rbind "$SW_LAB" "$SW_HOST$SW_LAB"
mount -n --move "$SW_HOST/run" /run

mkdir -p "$SW_HOST/root" "$SW_HOST/sys"
mount -n -t overlay -o "lowerdir=$SW_BASE,upperdir=$SW_HOST/upper,workdir=$SW_HOST/work" seawall-lab "$SW_HOST/root"
cp -a "$SW_HOST/seed/." "$SW_HOST/root/"
printf '%s\n' "$SW_NETWORK" | ip -batch -

while :; do
    # Every boot starts with the machine's values again.
    mount -n -t tmpfs -o mode=0755 seawall-lab "$SW_HOST/sys"
    cp -a "$SW_WORK/sysctl/." "$SW_HOST/sys/"
    code=0
    # Exit code 133 is the host's wish to boot again.
    env -i PATH="$PATH" TERM=dumb \
        SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network \
        systemd-nspawn --quiet --directory="$SW_HOST/root" --machine="$SW_NAME" \
        --register=no --keep-unit --console=pipe --link-journal=no --resolv-conf=off --timezone=off \
        --network-namespace-path=/proc/self/ns/net --capability=CAP_NET_ADMIN,CAP_NET_RAW \
        --kill-signal=SIGRTMIN+3 --bind="$SW_HOST/sys:/run/host/sysctl" \
        --bind-ro="$SW_WORK/init.sh:/run/host/seawall-init" \
        /bin/sh /run/host/seawall-init "$SW_LABNAME" || code=$?
    [ "$code" = 133 ] || exit "$code"
    umount -n -l "$SW_HOST/sys"
    nft flush ruleset
done
