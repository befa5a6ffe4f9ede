"""Patching ten throwaway hosts with Seawall, with Ansible, and with plain ssh and apt-get, in turn.
See benches/README.md. It prints ratios and asserts no time; what it does assert is that each
contender did the whole work: the five upgrades on every host, or none where none was to be made."""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "bench"))

import peers  # noqa: E402
from lab import Lab  # noqa: E402

PACKAGES = [f"sea-plain{number}" for number in range(1, 6)]
UPGRADE = (
    "sudo sh -c 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy dist-upgrade'"
)
DEFAULTS = "Ansible, its default settings"
ALONE = "sudo sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -qy dist-upgrade'"
SIMULATE = "sudo sh -c 'apt-get -q update && apt-get -qs dist-upgrade'"


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench patch", description=__doc__)
    say = "default: %(default)s"
    parser.add_argument("--hosts", type=int, default=10, help=say)
    parser.add_argument("--rounds", type=int, default=3, help=say)
    parser.add_argument("--quick", action="store_true", help="without Ansible")
    parser.add_argument("--seawall", type=Path, help="a program that is built already")
    return parser.parse_args()


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.seawall = str(options.seawall or self.build())
        self.ansible = None if options.quick else peers.install() / "ansible-playbook"
        kept = ("PATH", "HOME", "LANG", "USER", "TERM")
        self.env = {k: v for k, v in os.environ.items() if k in kept}
        self.env["SEAWALL_STATE_DIR"] = str(work / "state")
        self.env |= {
            "ANSIBLE_CONFIG": str(HERE.parent / "workload/ansible/ansible.cfg"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(work / "sockets"),
            "ANSIBLE_HOME": str(work / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
        }

    @staticmethod
    def build():
        subprocess.run(["cargo", "build", "--release", "--quiet"], check=True, cwd=ROOT)
        target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
        return Path(target) / "release/seawall"

    def each(self, script):
        """A script on every host, from outside; what each printed."""

        def one(host):
            argv = [self.seawall, "lab", "exec", "--name", self.lab.name, host, "--"]
            argv += ["sh", "-c", script]
            done = subprocess.run(argv, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"bench: {host}: {script}: {done.stdout}{done.stderr}")
            return done.stdout

        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(one, [h["name"] for h in self.lab.state["hosts"]]))

    def serve(self):
        """This week's archive, from the machine's address on the lab's bridge."""
        archive = self.work / "archive"
        subprocess.run([ROOT / "tests/patch/packages/build", archive], check=True)
        self.bridge = self.lab.state["hosts"][0]["address"].rsplit(".", 1)[0] + ".1"
        self.server = subprocess.Popen(
            [sys.executable, "-m", "http.server", "--protocol", "HTTP/1.1"]
            + ["--bind", self.bridge, "--directory", archive / "after", "8080"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        places = [("debian", "bookworm"), ("security", "bookworm-security")]
        lines = [
            f"deb [trusted=yes] http://{self.bridge}:8080/{part} {suite} main"
            for part, suite in places
        ]
        wanted = " ".join(f"{package}=1.0-1" for package in PACKAGES)
        script = (
            f"printf '%s\\n' {shlex.join(lines)} >/etc/apt/sources.list; n=0; "
            "until apt-get -q update 2>&1 && apt-get -qs install sea-plain1 2>&1; do "
            "n=$((n+1)); [ $n -lt 20 ] || exit 1; sleep 0.2; done; "
            f"apt-get -qy install {wanted} 2>&1 && mkdir -p /root/former && "
            "cp /var/cache/apt/archives/*_1.0-1_*.deb /root/former/"
        )
        self.each(script)

    def last_week(self):
        """Every host as it was: the former versions, in the cache too, and nothing new fetched."""
        # apt's own cache too: it knows a change of dpkg's by second and size, and a benchmark is quicker.
        self.each(
            "dpkg -i --force-downgrade /root/former/*.deb >/dev/null 2>&1 && "
            "rm -f /var/cache/apt/archives/*_2.0-1_*.deb /var/cache/apt/*.bin"
        )

    def fetched(self):
        """The former versions, with this week's lists and files there already."""
        self.last_week()
        self.each("apt-get -q update >/dev/null 2>&1 && apt-get -qyd dist-upgrade >/dev/null 2>&1")

    def upgrading(self):
        """From the first host's upgrade to the end of the last one's, in seconds, as the latest run's
        journal has it: the package manager under its supervisor, and what it changed read back."""
        runs = sorted((self.work / "state/runs").iterdir())
        moments = []
        for line in (runs[-1] / "journal.jsonl").read_text().splitlines():
            event = json.loads(line)
            if event.get("phase") == "upgrade":
                moments.append(datetime.fromisoformat(event["time"].replace("Z", "+00:00")))
        return (max(moments) - min(moments)).total_seconds()

    def this_week(self):
        self.each("DEBIAN_FRONTEND=noninteractive apt-get -qy dist-upgrade >/dev/null 2>&1")

    def must_be(self, version, who):
        for text in self.each(f"dpkg-query -W -f '${{Version}} ' {' '.join(PACKAGES)}"):
            if text.split() != [version] * len(PACKAGES):
                out = (self.work / "stdout").read_text(errors="replace")
                raise SystemExit(f"bench: after {who}: {text}; it said: {out[-3000:]}")

    @staticmethod
    def parallel(way, command):
        each = [
            f"ssh -n -F {shlex.quote(str(way.ssh_config))} {name} {shlex.quote(command)} &"
            for name, _, _ in way.places
        ]
        return ["sh", "-c", "\n".join([*each, "wait"])]

    def contenders(self, way):
        def ours(verb, *more):
            playbook = str(HERE / "patch.yaml")
            return [self.seawall, "patch", verb, playbook, "-i", str(way.seawall), "-q", *more]

        ansible = [str(self.ansible), "-i", str(way.ansible), str(HERE / "ansible.yml")]
        upgrade = {"ssh, apt-get update and dist-upgrade": self.parallel(way, UPGRADE)}
        upgrade["seawall patch run"] = ours("run", "--yes")
        nothing = {"ssh, apt-get update and -s dist-upgrade": self.parallel(way, SIMULATE)}
        nothing["seawall patch plan"] = ours("plan")
        nothing["seawall patch run"] = ours("run", "--yes")
        if self.ansible:
            upgrade["Ansible"] = ansible
            nothing["Ansible, --check"] = [*ansible, "--check"]
            nothing["Ansible"] = ansible
            # Five hosts at once, and each module copied before it is run.
            nothing[DEFAULTS] = ansible
        return nothing, upgrade

    def measure(self, name, argv):
        spec = {
            "argv": argv,
            "env": self.env,
            "stdin": "/dev/null",
            "stdout": str(self.work / "stdout"),
            "stderr": str(self.work / "stderr"),
            # Ansible's own connections are kept for a minute: each run makes its own.
            "after": [["sh", "-c", f"rm -rf {shlex.quote(str(self.work / 'sockets'))}/*"]],
        }
        # What is left of Ansible's connections ends by itself, and is not waited for.
        spec["env"] = self.env | {"ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=2s"}
        if name == DEFAULTS:
            empty = self.work / "defaults.cfg"
            empty.touch()
            spec["env"] |= {"ANSIBLE_CONFIG": str(empty)}
        before = self.lab.cpu(self.options.hosts)
        meter = [sys.executable, "-I", "-S", HERE.parent / "bench/meter.py"]
        done = subprocess.run(
            meter, input=json.dumps(spec), stdout=subprocess.PIPE, text=True, check=True
        )
        result = json.loads(done.stdout)
        result["hosts_cpu"] = self.lab.cpu(self.options.hosts) - before
        out = (self.work / "stdout").read_text(errors="replace")
        if result["status"] != 0:
            err = (self.work / "stderr").read_text(errors="replace")
            raise SystemExit(f"bench: {name}: exit {result['status']}: {out[-3000:]}{err[-3000:]}")
        return result

    def rounds(self, contenders, before, version):
        """All in turn, each round beginning with another one."""
        found = {name: [] for name in contenders}
        names = list(contenders)
        for number in range(self.options.rounds):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                before()
                print(f"bench: round {number + 1}: {name}", file=sys.stderr)
                found[name].append(self.measure(name, contenders[name]))
                self.must_be(version, name)
                if name == "seawall patch run" and before == self.last_week:
                    found[name][-1]["upgrading"] = self.upgrading()
        return found

    def run(self):
        self.lab = Lab(self.seawall, self.options.hosts, python=self.ansible is not None)
        self.server = None
        try:
            self.serve()
            way = self.lab.direct(self.work)
            nothing, upgrade = self.contenders(way)
            self.last_week()
            self.must_be("1.0-1", "the way back")
            # Once for warm caches; not counted.
            self.measure("seawall patch plan", nothing["seawall patch plan"])
            made = self.rounds(upgrade, self.last_week, "2.0-1")
            alone = {"ssh, apt-get dist-upgrade": self.parallel(way, ALONE)}
            alone = self.rounds(alone, self.fetched, "2.0-1")
            self.this_week()
            none = self.rounds(nothing, lambda: None, "2.0-1")
            plain = "ssh, apt-get update and dist-upgrade"
            table("five upgrades on each host", made, plain)
            phase = [{"wall": r["upgrading"]} for r in made["seawall patch run"]]
            alone["seawall, its phase `upgrade`"] = phase
            table("the upgrade itself, lists and files there already", alone, "ssh, apt-get dist-upgrade")
            table("nothing to do", none, "seawall patch plan")
        finally:
            if self.server:
                self.server.terminate()
                self.server.wait()
            self.lab.down()


def table(title, found, base):
    base = median(r["wall"] for r in found[base])
    print(f"### {title}\n\n| | wall s | from–to | ratio | controller CPU s | hosts' CPU s |")
    print("|---|---|---|---|---|---|")
    for name, results in found.items():
        wall = [r["wall"] for r in results]
        cpu = [
            f"{median(r[key] for r in results):.2f}" if key in results[0] else "–"
            for key in ("cpu", "hosts_cpu")
        ]
        print(
            f"| {name} | {median(wall):.2f} | {min(wall):.2f}–{max(wall):.2f} "
            f"| {median(wall) / base:.2f} | {cpu[0]} | {cpu[1]} |"
        )
    print(flush=True)


def main():
    options = arguments()
    if os.geteuid() != 0:
        raise SystemExit("bench: the throwaway hosts need root: run `sudo scripts/bench patch`")
    # So that the hosts are taken down whatever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as work:
        begun = time.monotonic()
        Bench(options, Path(work)).run()
        print(f"bench: it took {time.monotonic() - begun:.0f} s", file=sys.stderr)


main()
