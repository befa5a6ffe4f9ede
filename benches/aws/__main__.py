"""A drill of 200 steps in AWS against the double: memory, requests, and what it costs beside the
double's own critical path. See benches/README.md. It prints figures and asserts no time; what it
does assert is that the drill met its objectives, left nothing, and asked no more than is bounded."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

ACCOUNT = "111122223333"
LOST, SCRATCH = "eu-west-1", "eu-central-1"
KEYS = ("AKIADOUBLEFORTESTS00", "a-secret-for-tests-and-nothing-else")
# Chains of tables, each of which needs the one before it: seconds that the restores of each layer
# take, in the double's time.
LAYERS = (900, 1800, 1200, 600)
CHAINS = 50
# A step must not ask more often than that, whatever it waits for.
MOST_REQUESTS = 80

HEAD = f"""drill: bench
title: {LOST} is lost
lost: {{what: the region {LOST}, regions: [{LOST}]}}
scratch:
  aws:
    account: "{ACCOUNT}"
    region: {SCRATCH}
    vault: dr-copies
    production: [{LOST}]
    restore_role: arn:aws:iam::{ACCOUNT}:role/seawall-restore
    restores: {CHAINS}
objectives: {{rto: 4h, rpo: 26h}}
parallel: {CHAINS}
steps:
"""


def table(chain, layer):
    return f"arn:aws:dynamodb:{LOST}:{ACCOUNT}:table/bench-{chain}-{layer}"


def steps():
    for layer in range(len(LAYERS)):
        for chain in range(CHAINS):
            needs = f"    needs: [t-{chain}-{layer - 1}]\n" if layer else ""
            yield (
                f"  - step: t-{chain}-{layer}\n{needs}"
                f'    aws: {{resource: "{table(chain, layer)}", dynamodb: {{}}}}\n'
                f"    proofs: [{{proof: there are items, items: {{at_least: 20}}}}]\n"
            )


def seed():
    items = [{"id": {"S": f"item-{n:04}"}} for n in range(20)]
    points = [
        {
            "resource": table(chain, layer),
            "type": "DynamoDB",
            "created": -4800,
            "data_time": -7200,
            "data_time_tag": True,
            "source_vault": f"arn:aws:backup:{LOST}:{ACCOUNT}:backup-vault:prod",
            "size": 1 << 30,
            "items": items,
            "table_key": [{"name": "id", "type": "S"}],
        }
        for layer in range(len(LAYERS))
        for chain in range(CHAINS)
    ]
    key = f"arn:aws:kms:{SCRATCH}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
    vault = {"name": "dr-copies", "key": key, "tags": {"seawall:scratch": "yes"}, "points": points}
    region = {"vaults": [vault], "keys": [{"arn": key, "alias": "alias/dr"}], "ec2": {}}
    return {"accounts": {ACCOUNT: {"regions": {SCRATCH: region}}}}


def script():
    jobs = {
        table(chain, layer): {"takes_s": takes}
        for layer, takes in enumerate(LAYERS)
        for chain in range(CHAINS)
    }
    return {"jobs": jobs}


def ask(url, what):
    with urllib.request.urlopen(f"{url}/_fake/{what}") as answer:
        return json.load(answer)


def drill(seawall, double, speed, work):
    (work / "drill.yaml").write_text(HEAD + "".join(steps()))
    (work / "seed.json").write_text(json.dumps(seed()))
    (work / "script.json").write_text(json.dumps(script()))
    serving = subprocess.Popen(
        [double, "--speed", str(speed), "--seed", work / "seed.json", "--script", work / "script.json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        url = serving.stdout.readline().split()[-1]
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": KEYS[0],
            "AWS_SECRET_ACCESS_KEY": KEYS[1],
            "AWS_ENDPOINT_URL": url,
            "SEAWALL_TEST_PACE": str(speed),
            "SEAWALL_STATE_DIR": str(work / "state"),
        }
        began = time.monotonic()
        running = subprocess.Popen(
            [seawall, "drill", "run", work / "drill.yaml", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = running.stdout.read()
        _, status, used = os.wait4(running.pid, 0)
        wall = time.monotonic() - began
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            sys.exit(f"the drill ended with {code}: {said[:2000]}")
        left, log = ask(url, "left"), ask(url, "log")
        if left:
            sys.exit(f"the drill left {left}")
        return json.loads(said), log, used, wall
    finally:
        serving.kill()
        serving.wait()


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench aws", description=__doc__)
    parser.add_argument("--speed", type=float, default=40, help="of the double's clock (default: 40)")
    parser.add_argument("--debug", action="store_true", help="the builds without optimization")
    options = parser.parse_args()
    build = ["cargo", "build", "--locked", "--bin", "seawall", "--example", "fake-aws"]
    subprocess.run(build + ([] if options.debug else ["--release"]), cwd=ROOT, check=True)
    built = ROOT / "target" / ("debug" if options.debug else "release")
    with tempfile.TemporaryDirectory(prefix="seawall-bench-") as work:
        report, log, used, wall = drill(built / "seawall", built / "examples/fake-aws", options.speed, Path(work))
    steps = len(LAYERS) * CHAINS
    path = sum(LAYERS)
    took = report["verdict"]["rto"]["measured_ms"] / 1000 * options.speed
    by = {}
    for entry in log:
        by[entry["operation"]] = by.get(entry["operation"], 0) + 1
    per_step = {who: n for who, n in report.get("requests", {}).items() if who.startswith("step ")}
    worst = max(per_step.values(), default=len(log))
    print(f"steps                        {steps}, {CHAINS} side by side")
    print(f"the double's critical path   {path} s")
    print(f"the drill's clock            {took:.0f} s: {100 * (took - path) / path:.2f} % more")
    print(f"requests                     {len(log)}: {len(log) / steps:.1f} a step, {worst} for one at most")
    for name, count in sorted(by.items(), key=lambda pair: -pair[1])[:8]:
        print(f"  {name:<40} {count}")
    print(f"peak memory                  {used.ru_maxrss / 1024:.0f} MB")
    print(f"processor                    {used.ru_utime + used.ru_stime:.1f} s of {wall:.1f} s")
    if worst > MOST_REQUESTS:
        sys.exit(f"a step made {worst} requests: more than {MOST_REQUESTS}")


main()
