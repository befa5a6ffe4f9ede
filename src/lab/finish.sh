#!/bin/sh
# Turns a bare Debian root ($1) into what a provider's fresh image looks like: an account to log in
# with, sudo, and nothing that only makes sense with hardware or a way out.
set -eu
chroot "$1" /bin/sh -eu <<'INSIDE'
# Each host gets its own.
rm -f /etc/ssh/ssh_host_* /etc/machine-id /var/lib/dbus/machine-id
: >/etc/machine-id

useradd --create-home --shell /bin/bash --uid 1000 --comment 'Lab administrator' admin
useradd --create-home --shell /bin/bash --uid 1001 --groups sudo --comment 'Lab deployer, sudo with a password' deploy
echo 'deploy:seawall-lab' | chpasswd
for account in admin deploy; do
    install -d -m 0700 -o "$account" -g "$account" "/home/$account/.ssh"
done
cat >/etc/sudoers.d/90-provider-users <<'SUDO'
# Created by the provider's image.
admin ALL=(ALL) NOPASSWD:ALL
SUDO
chmod 0440 /etc/sudoers.d/90-provider-users

# There is no way to a mirror, no disk to trim and no terminal to log in at.
systemctl -q disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
systemctl -q mask getty@.service console-getty.service serial-getty@.service systemd-networkd-wait-online.service
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /tmp/* /var/tmp/*
INSIDE
