"""The hosts to measure on, and the ways to them."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
STATES = Path("/run/seawall/lab")
# What the peers need on the hosts; Seawall and the plain program need nothing.
PACKAGES = ["python3", "python3-apt"]


@dataclass
class Way:
    """One way to a list of hosts: where each is reached, and the files that say so."""

    title: str
    folder: Path
    places: list  # (name, address, port)
    identity: Path
    known_hosts: Path = field(init=False)
    ssh_config: Path = field(init=False)
    seawall: Path = field(init=False)
    ansible: Path = field(init=False)
    pyinfra: Path = field(init=False)

    def write(self, keys):
        """`keys`: host → its public keys."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.known_hosts = self.folder / "known_hosts"
        self.ssh_config = self.folder / "ssh_config"
        self.seawall = self.folder / "inventory.yaml"
        self.ansible = self.folder / "inventory.ini"
        self.pyinfra = self.folder / "inventory.py"
        known = []
        for name, address, port in self.places:
            place = address if port == 22 else f"[{address}]:{port}"
            known += [f"{name},{place} {key}\n" for key in keys[name]]
        self.known_hosts.write_text("".join(known))
        self.ssh_config.write_text(
            f"User admin\nIdentityFile {self.identity}\nIdentitiesOnly yes\nBatchMode yes\n"
            f"UserKnownHostsFile {self.known_hosts}\nGlobalKnownHostsFile /dev/null\n"
            "StrictHostKeyChecking yes\n"
            + "".join(
                f"Host {name}\n  HostName {address}\n  Port {port}\n  HostKeyAlias {name}\n"
                for name, address, port in self.places
            )
        )
        self.seawall.write_text(
            f"inventory: bench\ndefaults:\n  user: admin\n  identity: {self.identity}\n"
            f"  known_hosts: {self.known_hosts}\n  sudo: true\nhosts:\n"
            + "".join(
                f"  {name}:\n    address: {address}\n    port: {port}\n"
                for name, address, port in self.places
            )
        )
        self.ansible.write_text(
            "".join(f"{name}\n" for name, _, _ in self.places)
            + "[all:vars]\nansible_python_interpreter=/usr/bin/python3\n"
            f"ansible_ssh_common_args=-F {self.ssh_config}\n"
        )
        hosts = [
            (
                name,
                {
                    "ssh_hostname": address,
                    "ssh_port": port,
                    "ssh_user": "admin",
                    "ssh_key": str(self.identity),
                    "ssh_config_file": "/dev/null",
                    "ssh_known_hosts_file": str(self.known_hosts),
                    "ssh_strict_host_key_checking": "yes",
                },
            )
            for name, address, port in self.places
        ]
        self.pyinfra.write_text(f"hosts = {hosts!r}\n")

    def first(self, count):
        """The same way to the first hosts alone."""
        if count == len(self.places):
            return self
        folder = self.folder.parent / f"{self.folder.name}-{count}"
        part = Way(self.title, folder, self.places[:count], self.identity)
        keys = {}
        for line in self.known_hosts.read_text().splitlines():
            names, key = line.split(" ", 1)
            keys.setdefault(names.split(",")[0], []).append(key)
        part.write(keys)
        return part


class Lab:
    """A lab of our own, by a name that nobody else uses."""

    def __init__(self, seawall, count, python):
        self.seawall = seawall
        self.name = f"bench{os.getpid()}"
        self.forwarders = []
        command = [seawall, "lab", "up", str(count), "--name", self.name]
        for package in PACKAGES if python else []:
            command += ["--package", package]
        subprocess.run(command, check=True, stdout=sys.stderr, env=os.environ)
        self.folder = STATES / self.name
        self.state = json.loads((self.folder / "state.json").read_text())
        self.identity = self.folder / "id_ed25519"
        self.keys = {}
        for line in (self.folder / "known_hosts").read_text().splitlines():
            names, key = line.split(" ", 1)
            self.keys.setdefault(names.split(",")[0], []).append(key)

    def down(self):
        for process in self.forwarders:
            process.terminate()
            process.wait()
        command = [self.seawall, "lab", "down", "--name", self.name]
        subprocess.run(command, check=True, stdout=sys.stderr)

    def direct(self, work):
        places = [(h["name"], h["address"], 22) for h in self.state["hosts"]]
        way = Way("direct link", work / "direct", places, self.identity)
        way.write(self.keys)
        return way

    def slow(self, work, milliseconds):
        """Over forwarders that hold every chunk for that long, in each direction."""
        places, listen = [], []
        for number, host in enumerate(self.state["hosts"]):
            # Every host has an address of its own on the loopback, so ports can't collide.
            here = f"127.9.{1 + os.getpid() % 250}.{number + 1}"
            port = 2200 + milliseconds
            places.append((host["name"], here, port))
            listen.append([here, port, host["address"], 22])
        process = subprocess.Popen(
            [sys.executable, "-I", HERE / "forwarder.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.forwarders.append(process)
        json.dump({"seconds": milliseconds / 1000, "listen": listen}, process.stdin)
        process.stdin.close()
        if process.stdout.readline() != "listening\n":
            raise RuntimeError("the forwarder of the slow path did not start")
        title = f"{milliseconds} ms each way (a forwarder that holds every chunk)"
        way = Way(title, work / f"slow-{milliseconds}", places, self.identity)
        way.write(self.keys)
        return way

    def cgroup(self):
        mounts = Path("/proc/self/mounts").read_text()
        place = re.search(r"^\S+ (\S+) cgroup2 ", mounts, re.M).group(1)
        return Path(place) / self.state["cgroup"]

    def cpu(self, hosts):
        """Seconds of CPU that the first hosts' processes have used since they were born."""
        total = 0
        for host in self.state["hosts"][:hosts]:
            text = (self.cgroup() / host["name"] / "cpu.stat").read_text()
            total += int(re.search(r"usage_usec (\d+)", text).group(1))
        return total / 1e6

    def sshd(self):
        """The process id, on this machine, of the first host's listening sshd."""
        top = self.cgroup() / self.state["hosts"][0]["name"]
        for procs in top.rglob("cgroup.procs"):
            for pid in procs.read_text().split():
                if b"[listener]" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
        raise RuntimeError("no listening sshd was found in the first host")

    def inside(self, *command):
        """The command that runs this one in the first host, as its root."""
        host = self.state["hosts"][0]["name"]
        return [self.seawall, "lab", "exec", "--name", self.name, host, "--", *command]
