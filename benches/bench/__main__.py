"""Seawall against ssh, a batched sh program, pyinfra and Ansible, on throwaway hosts of one
machine. See benches/README.md. It prints ratios, and asserts no time: a machine that is slow is
slow for everyone. What it does assert is that every contender did the whole work."""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import contenders
import host_cost
import peers
import tables
from lab import HERE, Lab

ROOT = HERE.parent.parent
WORKLOAD = contenders.WORKLOAD
FULL = ROOT / "playbooks/new-host.yaml"
PEER_HOSTS = 10
# One of each kind that can be brought back without a package mirror.
DRIFT = r"""
sysctl -qw net.ipv4.conf.all.log_martians=0
chmod 0644 /etc/crontab
sed -i 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 99999/' /etc/login.defs
sed -i '/hard core 0/d' /etc/security/limits.conf
systemctl stop logrotate.timer
echo drift >/etc/motd
"""
DRIFTS = 6


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without Ansible and pyinfra")
    say = "default: %(default)s"
    parser.add_argument("--hosts", default="1,10,50", help=f"how many, in turn; {say}")
    parser.add_argument("--rounds", type=int, default=5, help=say)
    parser.add_argument("--peer-rounds", type=int, default=3, help=f"the peers' own; {say}")
    parser.add_argument(
        "--delay", type=int, default=25, help=f"ms each way on the slow path, 0: none; {say}"
    )
    parser.add_argument("--seawall", type=Path, help="a program that is built already")
    parser.add_argument("--raw", type=Path, help="write every single measurement to this file")
    options = parser.parse_args()
    options.hosts = sorted({int(n) for n in options.hosts.split(",")})
    return options


def build():
    subprocess.run(["cargo", "build", "--release", "--quiet"], check=True, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
    return Path(target) / "release/seawall"


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.seawall = str(options.seawall or build())
        self.peers = None if options.quick else peers.install()
        self.peer_hosts = min(PEER_HOSTS, max(options.hosts))
        self.mitogen = True
        self.raw = []
        kept = ("PATH", "HOME", "LANG", "USER", "TERM")
        # No agent: everyone logs in with the lab's key.
        self.env = {k: v for k, v in os.environ.items() if k in kept}

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr)

    def measure(self, contender, way):
        out, err = self.work / "stdout", self.work / "stderr"
        spec = {
            "argv": [str(a) for a in contender.command(way)],
            "env": self.env | contender.env,
            "stdin": "/dev/null",
            "stdout": str(out),
            "stderr": str(err),
            "after": contender.after(way),
        }
        before = self.lab.cpu(len(way.places))
        meter = [sys.executable, "-I", "-S", HERE / "meter.py"]
        done = subprocess.run(
            meter, input=json.dumps(spec), stdout=subprocess.PIPE, text=True, check=True
        )
        result = json.loads(done.stdout)
        result["hosts_cpu"] = self.lab.cpu(len(way.places)) - before
        result["out"] = out.read_text(errors="replace")
        result["err"] = err.read_text(errors="replace")
        return result

    def must(self, contender, way):
        """One run that has to have done all of its work and changed nothing."""
        result = self.measure(contender, way)
        wrong = contender.wrong(way, result["status"], result["out"], result["err"])
        if wrong:
            raise SystemExit(f"bench: {contender.name}, {way.title}: {wrong}")
        return result

    def contenders(self, with_peers):
        home = self.work / "state"

        def seawall(name, verb, playbook, more=(), clean=False):
            return contenders.seawall(self.seawall, name, verb, playbook, home, more, clean)

        ours = WORKLOAD / "seawall/playbook.yaml"
        self.true = contenders.ssh_true("ssh host true")
        self.curve = contenders.ssh_true(
            "ssh host true, curve25519-sha256", "-o KexAlgorithms=curve25519-sha256"
        )
        self.plain = contenders.plain()
        self.check = seawall("seawall check, 60 tasks", "check", ours, clean=True)
        self.apply = seawall("seawall apply, 60 tasks", "apply", ours, clean=True)
        self.full = [
            seawall(f"seawall check, full baseline, level {n}", "check", FULL, ["--level", str(n)])
            for n in (1, 2)
        ]
        fast = [self.true, self.curve, self.plain, self.check, self.apply, *self.full]
        slow = []
        if self.peers and with_peers:
            sockets = self.work / "ansible/sockets"
            tool = self.peers / "ansible-playbook"
            slow.append(contenders.pyinfra(self.peers / "pyinfra"))
            slow.append(contenders.ansible(tool, "Ansible, tuned", sockets, {}))
            strategy = peers.mitogen_strategy(self.peers)
            if strategy and self.mitogen:
                env = {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": strategy}
                slow.append(contenders.ansible(tool, "Ansible with mitogen", sockets, env))
        return fast, slow

    def settle(self, way):
        """Every tool applies the workload; afterwards nobody has anything left to change."""
        fast, slow = self.contenders(True)
        self.say("applying the 60 tasks with every tool")
        self.measure(self.apply, way)
        near = way.first(self.peer_hosts)
        for peer in slow:
            self.measure(peer, near)
        for contender in [self.plain, self.check, self.apply]:
            self.must(contender.strict or contender, way)
        tools = [self.apply.strict]
        for peer in slow:
            try:
                self.must(peer, near)
                tools.append(peer)
            except SystemExit as reason:
                if "mitogen" not in peer.name:
                    raise
                # It follows Ansible's versions at a distance.
                self.say(f"without mitogen, which does not work here: {str(reason)[:300]}")
                self.mitogen = False
        self.prove(way.first(1), tools)

    def prove(self, way, tools):
        """Each tool finds and mends the same drift, and counts the same."""
        for tool in tools:
            subprocess.run(self.lab.inside("sh", "-c", DRIFT), check=True)
            found = self.measure(self.plain, way)["out"]
            if f"tasks not as demanded: {DRIFTS}\n" not in found:
                raise SystemExit(f"bench: the drift is not what it should be: {found}")
            result = self.measure(tool, way)
            counted = contenders.changed(result["out"], result["err"])
            if counted != DRIFTS:
                said = result["out"][-3000:] + result["err"][-2000:]
                raise SystemExit(f"bench: {tool.name} changed {counted} of {DRIFTS}: {said}")
            self.must(self.plain, way)
        self.say(f"each tool mended the same {DRIFTS} drifted tasks")

    def rounds(self, way):
        """All contenders in turn, again and again, so that a slow minute is slow for everyone."""
        fast, slow = self.contenders(len(way.places) == self.peer_hosts)
        results = {c.name: [] for c in fast + slow}
        for contender in fast:
            self.must(contender.strict or contender, way)  # Warms the caches; not counted.
        for number in range(max(self.options.rounds, self.options.peer_rounds if slow else 0)):
            turn = fast[number % len(fast) :] + fast[: number % len(fast)]
            turn = turn if number < self.options.rounds else []
            turn = turn + (slow if number < self.options.peer_rounds else [])
            for contender in turn:
                result = self.must(contender, way)
                results[contender.name].append(result)
                about = {"way": way.title, "hosts": len(way.places), "contender": contender.name}
                numbers = {k: result[k] for k in ("wall", "cpu", "hosts_cpu", "peak_kb")}
                self.raw.append(about | numbers)
        return {name: tables.middle(found) for name, found in results.items()}

    def host_costs(self, way):
        one = way.first(1)
        self.say("counting programs, forks and round trips")

        def with_a_change(way):
            subprocess.run(self.lab.inside("chmod", "0644", "/etc/crontab"), check=True)
            return self.measure(self.apply, way)

        def must(tool):
            return lambda way: self.must(tool, way)

        changing = {f"{self.apply.name}, one to change": with_a_change}
        runs = {tool.name: must(tool) for tool in [*self.full, self.check, self.apply]}
        runs |= changing | {self.plain.name: must(self.plain)}
        forks = {
            name: host_cost.forks(self.lab, self.work, lambda: run(one))
            for name, run in runs.items()
        }
        ways = {ms / 1000: self.lab.slow(self.work, ms).first(1) for ms in (50, 250)}
        tools = [self.true, self.plain, self.full[-1], self.apply]
        runs = {tool.name: must(tool) for tool in tools}
        trips = {
            name: host_cost.crossings(self.lab, ways, run)
            for name, run in (runs | changing).items()
        }
        return forks, trips

    def run(self):
        most = max(self.options.hosts)
        self.say(f"raising {most} hosts")
        self.lab = Lab(self.seawall, most, python=self.peers is not None)
        try:
            direct = self.lab.direct(self.work)
            self.settle(direct)
            ways = [direct]
            if self.options.delay:
                ways.append(self.lab.slow(self.work, self.options.delay))
            found = []
            for way in ways:
                for count in self.options.hosts:
                    self.say(f"measuring {count} hosts, {way.title}")
                    found.append((way.title, count, self.rounds(way.first(count))))
                    tables.setting(*found[-1])
            tables.ratios(found)
            tables.host_costs(self.host_costs(direct))
        finally:
            self.lab.down()
            if self.options.raw:
                self.options.raw.write_text(json.dumps(self.raw, indent=1) + "\n")


def about(bench):
    cpu = next(
        (l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")),
        platform.machine(),
    )
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.strip()
    ours = subprocess.run([bench.seawall, "--version"], capture_output=True, text=True).stdout
    them = peers.versions(bench.peers) if bench.peers else []
    return [f"{os.cpu_count()} × {cpu}, Linux {platform.release()}", ssh, ours.strip(), *them]


def main():
    options = arguments()
    if os.geteuid() != 0:
        raise SystemExit("bench: the throwaway hosts need root: run `sudo scripts/bench`")
    if not shutil.which("ssh"):
        raise SystemExit("bench: there is no ssh here: install openssh-client")
    # So that the hosts are taken down whatever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as work:
        bench = Bench(options, Path(work))
        tables.about(about(bench))
        bench.run()


main()
