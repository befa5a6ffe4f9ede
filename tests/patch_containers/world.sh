#!/bin/bash
# Real engines and a real registry, in namespaces of their own: all of it ends with this script.
# Started by `unshare -mnpf --mount-proc`; Says `ready` when it is.
set -u
ip link set lo up
# Nothing of the machine's is written: what engines keep lies in memory.
for folder in /run /root; do mount -t tmpfs tmpfs "$folder"; done
mkdir -p /run/lock /run/world /run/over
for folder in /var/lib /etc; do
  mkdir -p "/run/over$folder/upper" "/run/over$folder/work"
  mount -t overlay overlay -o "lowerdir=$folder,upperdir=/run/over$folder/upper,workdir=/run/over$folder/work" "$folder"
done
# Stores of images lie on no overlay.
for folder in /var/lib/docker /var/lib/containers /var/lib/cni /var/lib/seawall /etc/cni; do
  mkdir -p "$folder"
  mount -t tmpfs tmpfs "$folder"
done
mkdir -p /etc/cni/net.d
cat >/run/world/registry.yml <<E
version: 0.1
storage: {filesystem: {rootdirectory: /run/world/registry}, delete: {enabled: true}}
http: {addr: 127.0.0.1:5000}
E
cat >/run/world/private.yml <<E
version: 0.1
storage: {filesystem: {rootdirectory: /run/world/private}, delete: {enabled: true}}
http: {addr: 127.0.0.1:5001}
auth: {htpasswd: {realm: private, path: /run/world/htpasswd}}
E
htpasswd -Bbc /run/world/htpasswd me w0rd-of-pass >/dev/null 2>&1
cat >/run/world/registries.conf <<E
[[registry]]
location="127.0.0.1:5000"
insecure=true
[[registry]]
location="127.0.0.1:5001"
insecure=true
E
cat >/run/world/containers.conf <<E
[containers]
default_ulimits=["nofile=20000:20000","nproc=4096:4096"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
stop_timeout=1
E
# Where root's programs look, whatever their environment.
mkdir -p /etc/containers /root
cp /run/world/registries.conf /run/world/containers.conf /etc/containers/
docker-registry serve /run/world/registry.yml >/run/world/registry.log 2>&1 &
echo $! >/run/world/registry.pid
docker-registry serve /run/world/private.yml >/run/world/private.log 2>&1 &
# awaited SOCKET LOG: until the engine behind it answers.
awaited() {
  n=0
  until curl -s --unix-socket "$1" http://docker/_ping >/dev/null; do
    n=$((n + 1))
    [ $n -lt 600 ] || { tail -n 30 "$2" >&2; exit 1; }
    sleep 0.1
  done
}
# Publishers have an engine of their own, else digests mislead. It comes first, and alone: one
# without a bridge takes `docker0` away as it starts, whoever made it.
mkdir -p /run/publisher
dockerd --data-root /run/publisher/data --exec-root /run/publisher/exec -p /run/publisher/pid \
  --bridge none --iptables=false -H unix:///run/publisher/sock >/run/world/publisher.log 2>&1 &
awaited /run/publisher/sock /run/world/publisher.log
# With an init in each container: as the first process, most programs do not heed SIGTERM, and each
# stop would take ten seconds.
dockerd --data-root /var/lib/docker --exec-root /run/docker-exec -p /run/docker.pid --init \
  -H unix:///var/run/docker.sock >/run/world/dockerd.log 2>&1 &
awaited /var/run/docker.sock /run/world/dockerd.log
root=/run/world/root
mkdir -p $root/bin $root/tmp $root/www
cp "$(command -v busybox)" $root/bin/busybox
for name in sh sleep httpd cat true false echo nc test env kill date; do ln -s busybox $root/bin/$name; done
if [ -n "${SEAWALL_COMPOSE_PLUGIN:-}" ]; then
  mkdir -p /root/.docker/cli-plugins
  cp "$SEAWALL_COMPOSE_PLUGIN" /root/.docker/cli-plugins/docker-compose
fi
echo ready
cat >/dev/null
