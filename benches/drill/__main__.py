"""What a drill costs beside its parts, on one machine. See benches/README.md. It prints figures and
asserts no time; what it does assert is that each drill met its objectives and left nothing."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

POLICY = """
policy: bench
title: Two trees
recipients: [{recipient}]
stores:
  here: {{place: hill, directory: {work}/store}}
sources:
  - source: one
    directories: {{paths: [{work}/primary/one]}}
    schedule: "0 3 * * *"
    rpo: 26h
  - source: two
    directories: {{paths: [{work}/primary/two]}}
    schedule: "0 3 * * *"
    rpo: 26h
"""

DRILL = """
drill: bench
title: Two trees
lost: {{what: the primary, paths: [{work}/primary]}}
policy: policy.yaml
identities: [{work}/key]
scratch: {{directory: {work}/scratch}}
objectives: {{rto: 4h, rpo: 26h}}
steps:
  - step: one
    restore: {{source: one, directory: one}}
    proofs: [{{proof: whole, manifest: true}}]
  - step: two
    needs: [one]
    restore: {{source: two, directory: two}}
    proofs: [{{proof: whole, manifest: true}}]
"""


def run(argv, **more):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, argv))}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def drill_events(state):
    """The events of the newest drill, in order."""
    for folder in sorted((state / "runs").iterdir(), reverse=True):
        lines = [json.loads(line) for line in (folder / "journal.jsonl").open()]
        events = [line for line in lines if line["event"] == "drill"]
        if events:
            return events
    sys.exit("bench: there is no drill")


def shares(events):
    """Total, the phases on the critical path, and the gaps between them, in milliseconds."""
    verdict = [e for e in events if e["drill_event"] == "judged"][-1]["verdict"]
    swept = [e for e in events if e["drill_event"] == "swept"][-1]
    if verdict["word"] != "met" or swept["left"]:
        sys.exit(f"bench: {verdict['word']}: {verdict['reasons']} {swept['left']}")
    stop = [e for e in events if e["drill_event"] == "clock-stopped"][-1]["at_ms"]
    path = verdict["critical_path"]
    phases = sum(p["end_ms"] - p["start_ms"] for p in path if p.get("phase"))
    return stop, phases, stop - phases


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench drill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=500, help="MB in each of two trees")
    parser.add_argument("--on", type=Path, default=Path("/dev/shm"), help="a folder to work in")
    parser.add_argument("--seawall", type=Path, help="a program that is built already")
    options = parser.parse_args()
    seawall = options.seawall
    if seawall is None:
        subprocess.run(["cargo", "build", "--release", "--quiet"], check=True, cwd=ROOT)
        seawall = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release/seawall"
    with tempfile.TemporaryDirectory(prefix="seawall-bench-", dir=options.on) as folder:
        work = Path(folder)
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        env["SEAWALL_STATE_DIR"] = str(work / "state")
        run(["age-keygen", "-o", work / "key"])
        recipient = run(["age-keygen", "-y", work / "key"])
        draw = random.Random(3)
        for tree in ("one", "two"):
            (work / "primary" / tree).mkdir(parents=True)
            for number in range(options.size // 10):
                (work / "primary" / tree / str(number)).write_bytes(draw.randbytes(10_000_000))
        (work / "store").mkdir(mode=0o700)
        (work / "policy.yaml").write_text(POLICY.format(recipient=recipient, work=work))
        (work / "drill.yaml").write_text(DRILL.format(work=work))
        run([seawall, "keygen"], env=env)
        run([seawall, "backup", "create", work / "policy.yaml", "--quiet"], env=env)
        found = []
        for _ in range(options.rounds):
            run([seawall, "drill", "run", work / "drill.yaml", "--quiet"], env=env)
            found.append(shares(drill_events(work / "state")))
        print("| | ms on the drill's clock |\n|---|---|")
        for name, at in (("the whole", 0), ("phases on the critical path", 1), ("between them", 2)):
            print(f"| {name} | {median(f[at] for f in found):.0f} |")
        share = median(100 * f[2] / f[0] for f in found)
        print(f"| overhead (aim: under 2 %) | {share:.3f} % |")


main()
