"""Restoring, decrypting and comparing against age, zstd, tar and restic, on one machine, in turns. See
benches/README.md. It prints ratios and asserts no time. What it does assert is that everyone brought
back the same files."""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
METER = HERE.parent / "bench/meter.py"
MIB = 1 << 20

POLICY = """
policy: bench
title: A tree of the benchmark
recipients: [{recipient}]
stores:
  here: {{place: here, directory: {store}}}
sources:
  - source: {name}
    directories: {{paths: [{tree}]}}
    schedule: "0 3 * * *"
    rpo: 26h
    to: [here]
"""


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench restore", description=__doc__)
    say = "default: %(default)s"
    parser.add_argument("--rounds", type=int, default=5, help=say)
    parser.add_argument("--size", type=int, default=2000, help=f"MB of large files; {say}")
    parser.add_argument("--files", type=int, default=50_000, help=f"small files; {say}")
    parser.add_argument(
        "--on", type=Path, action="append",
        help="a folder to work in; may be given several times; default: /dev/shm and $TMPDIR",
    )  # fmt: skip
    parser.add_argument("--seawall", type=Path, help="a program that is built already")
    parser.add_argument("--raw", type=Path, help="write every single measurement to this file")
    options = parser.parse_args()
    options.on = options.on or [Path("/dev/shm"), Path(tempfile.gettempdir())]
    return options


def build():
    subprocess.run(["cargo", "build", "--release", "--quiet"], check=True, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR") or ROOT / "target"
    return Path(target) / "release/seawall"


def run(argv, **more):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, argv))}: {done.stderr.strip()}")
    return done.stdout.strip()


def real_bytes(wanted):
    """Programs, libraries, texts: what this machine has in /usr, until there is enough of it."""
    pool = bytearray()
    for folder, below, names in os.walk("/usr"):
        below.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file() or path.stat().st_size < 20_000:
                continue
            pool += path.read_bytes()[: 50 * MIB]
            if len(pool) >= wanted:
                return bytes(pool[:wanted])
    return bytes(pool)


def make_large(at, size, pool):
    """Four files. Half of each is /usr's bytes, half is noise, as in databases that hold images:
    together they compress about 2 to 1."""
    at.mkdir(parents=True)
    draw = random.Random(1)
    piece = MIB
    for number in range(4):
        with open(at / f"large{number}", "wb") as out:
            for _ in range(size // 4):
                if draw.random() < 0.72:
                    start = draw.randrange(len(pool) - piece)
                    out.write(pool[start : start + piece])
                else:
                    out.write(draw.randbytes(piece))


def make_small(at, count, pool):
    """A hundred in each directory; log-normal sizes, a median of 2 KB, as in a home or a site."""
    draw = random.Random(2)
    for number in range(count):
        folder = at / f"d{number // 100:04}"
        if number % 100 == 0:
            folder.mkdir(parents=True)
        size = min(int(draw.lognormvariate(7.6, 1.3)), MIB)
        start = draw.randrange(len(pool) - size)
        (folder / f"f{number % 100:02}").write_bytes(pool[start : start + size])


class Bench:
    def __init__(self, options, work, seawall):
        self.options, self.work, self.seawall = options, work, seawall
        kept = ("PATH", "HOME", "LANG", "TERM")
        self.env = {k: v for k, v in os.environ.items() if k in kept}
        self.env |= {"RESTIC_PASSWORD": "bench", "XDG_STATE_HOME": str(work / "state")}
        self.env |= {"XDG_CONFIG_HOME": str(work / "config"), "RESTIC_CACHE_DIR": str(work / "rc")}
        self.key = work / "key"
        run(["age-keygen", "-o", self.key])
        self.recipient = run(["age-keygen", "-y", self.key])
        run([seawall, "keygen"], env=self.env)
        self.raw = []

    def pack(self, name, tree):
        """The same tree in an archive of ours, and in a restic repository."""
        store = self.work / f"store-{name}"
        store.mkdir(mode=0o700)
        policy = self.work / f"{name}.yaml"
        policy.write_text(
            POLICY.format(recipient=self.recipient, store=store, name=name, tree=tree)
        )
        run([self.seawall, "backup", "create", policy, "--quiet"], env=self.env)
        archive = self.work / f"{name}.tar.zst.age"
        (made,) = store.rglob("*.tar.zst.age")
        made.rename(archive)
        shutil.rmtree(store)
        repository = self.work / f"restic-{name}"
        run(["restic", "-q", "-r", repository, "init"], env=self.env)
        run(["restic", "-q", "-r", repository, "backup", tree], env=self.env)
        return archive, repository

    def measure(self, argv):
        spec = {"argv": [str(a) for a in argv], "env": self.env, "after": []}
        spec |= {"stdin": "/dev/null", "stdout": "/dev/null", "stderr": str(self.work / "err")}
        os.sync()
        told = subprocess.run(
            [sys.executable, METER], input=json.dumps(spec), capture_output=True, text=True
        )
        result = json.loads(told.stdout)
        if result["status"] != 0:
            sys.exit(f"bench: {argv}: {(self.work / 'err').read_text()[-2000:]}")
        return result

    def contenders(self, archive, repository, into):
        # Everyone ends with its data on the disk; seawall does that by itself.
        unpack = f"age -d -i {self.key} {archive} | zstd -dc"
        restore = [self.seawall, "backup", "restore", "--file", archive, "--quiet"]
        restic = f"restic -q -r {repository} restore latest --target {into} && sync -f {into}"
        pipe = f"set -o pipefail; mkdir {into} && {unpack} | tar x -C {into} && sync -f {into}"
        return {
            "seawall": [*restore, "--identity", self.key, "--into", into],
            "age, zstd, tar": ["bash", "-c", pipe],
            "restic": ["bash", "-c", restic],
        }

    def turns(self, name, tree, keep):
        archive, repository = self.pack(name, tree)
        found, done = {}, []
        for number in range(self.options.rounds):
            order = list(self.contenders(archive, repository, ""))
            order = order[number % 3 :] + order[: number % 3]
            for who in order:
                into = self.work / f"{name}-{number}-{len(done)}"
                argv = self.contenders(archive, repository, into)[who]
                result = self.measure(argv)
                found.setdefault(who, []).append(result)
                self.raw.append({"what": name, "who": who, "on": str(self.work)} | result)
                if number == 0:
                    self.same(tree, into)
                done.append(into)
                if not keep:
                    shutil.rmtree(into)
        for into in done if keep else []:
            shutil.rmtree(into)
        return archive, found

    def same(self, tree, into):
        """restic puts the whole path below; ours and tar the last name."""
        below = into / str(tree).lstrip("/")
        below = below if below.is_dir() else into / tree.name
        run(["diff", "-rq", tree, below])

    def readers(self, archive):
        """Without writing anything."""
        found = {}
        ways = {
            "seawall, examined": [self.seawall, "backup", "verify", "--file", archive, "--quiet"]
            + ["--identity", self.key],
            "age -d": ["bash", "-c", f"age -d -i {self.key} {archive} >/dev/null"],
            "age -d, zstd -d": [
                "bash", "-c", f"age -d -i {self.key} {archive} | zstd -dc >/dev/null"
            ],
        }  # fmt: skip
        for _ in range(self.options.rounds):
            for who, argv in ways.items():
                found.setdefault(who, []).append(self.measure_any(argv))
        return found

    def measure_any(self, argv):
        """An archive without its sidecar is never wholly verified: 1 is a good end here."""
        quoted = " ".join(f"'{a}'" for a in argv) if argv[0] != "bash" else None
        if quoted is None:
            return self.measure(argv)
        return self.measure(["bash", "-c", f"{quoted}; [ $? -le 1 ]"])


def table(title, size, found, aims):
    print(f"### {title}\n")
    print("| | wall s | from–to | MB/s | CPU s | peak MB | seawall is faster | aim |")
    print("|---|---|---|---|---|---|---|---|")
    base = median(r["wall"] for r in next(iter(found.values())))
    for who, results in found.items():
        walls = [r["wall"] for r in results]
        wall, cpu = median(walls), median(r["cpu"] for r in results)
        peak = max(r["peak_kb"] for r in results) / 1000
        print(
            f"| {who} | {wall:.2f} | {min(walls):.2f}–{max(walls):.2f} | {size / wall / 1e6:.0f} "
            f"| {cpu:.2f} | {peak:.0f} | {wall / base:.2f} | {aims.get(who, '')} |"
        )
    print(flush=True)


def bytes_of(tree):
    return sum(f.stat().st_size for f in tree.rglob("*") if f.is_file())


def main():
    options = arguments()
    for program in ("age", "age-keygen", "zstd", "tar", "restic"):
        if shutil.which(program) is None:
            sys.exit(f"bench: {program} is missing; install Debian's package of that name")
    seawall = (options.seawall or build()).resolve()
    pool = real_bytes(256 * MIB)
    raw = []
    for place in options.on:
        with tempfile.TemporaryDirectory(prefix="seawall-bench-", dir=place) as folder:
            work = Path(folder)
            bench = Bench(options, work, seawall)
            kind = run(["stat", "-f", "-c", "%T", place])
            # Making files on ext4 is slow for a while after a mass delete.
            keep = kind != "tmpfs"
            for name, make, aims in (
                ("large", lambda at: make_large(at, options.size, pool),
                 {"age, zstd, tar": "≥ 1.15", "restic": "≥ 1.5"}),
                ("small", lambda at: make_small(at, options.files, pool),
                 {"age, zstd, tar": "≥ 1.0", "restic": "≥ 2.5"}),
            ):  # fmt: skip
                tree = work / f"tree-{name}"
                make(tree)
                size = bytes_of(tree)
                archive, found = bench.turns(name, tree, keep)
                packed = archive.stat().st_size
                many = sum(1 for f in tree.rglob("*") if f.is_file())
                title = f"{name} files, {kind}: {many} files, {size / 1e6:.0f} MB"
                table(f"{title}, {packed / 1e6:.0f} MB packed", size, found, aims)
                if name == "large" and kind == "tmpfs":
                    table("Read alone, large files", size, bench.readers(archive), {})
                shutil.rmtree(tree)
            raw += bench.raw
    if options.raw:
        options.raw.write_text(json.dumps(raw, indent=1))


main()
