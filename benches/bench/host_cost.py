"""What a run costs the host: how many programs it is sent, how often they fork, and how often the
network is crossed after the log-in."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

FORKS = ("fork", "vfork", "clone", "clone3")


def forks(lab, work, run):
    """What happens below the first host's sshd while `run()` runs: how many programs are read (by
    an `sh -s`), how often they fork, and how often anything does (sshd, PAM and sudo as well).
    Counted by strace on this machine, so nothing is installed on the host; `None` where there is
    no strace."""
    trace = work / "trace"
    try:
        strace = subprocess.Popen(
            ["strace", "-f", "-qq", "--pidns-translation", "-s", "64", "-o", trace]
            + ["-e", f"trace=execve,{','.join(FORKS)}", "-p", str(lab.sshd())],
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        return None
    time.sleep(1)  # It says nothing when it is attached.
    try:
        run()
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait()
    return count_forks(trace.read_text(errors="replace"))


def count_forks(text):
    parent, program = {}, set()
    total = 0
    for line in text.splitlines():
        pid, _, call = line.partition(" ")
        call = call.strip()
        if re.match(r'execve\("[^"]*/(sh|dash)", \["sh", "-s"', call):
            program.add(pid)
        forked = re.match(r"(?:<\.\.\. )?(\w+)(?:\(| resumed>).* = (\d+)(?: /\* (\d+) in)?", call)
        if not forked or forked.group(1) not in FORKS or "CLONE_THREAD" in call:
            continue
        total += 1
        parent[forked.group(3) or forked.group(2)] = pid

    def below(pid):
        while pid is not None:
            if pid in program:
                return True
            pid = parent.get(pid)
        return False

    return len(program), sum(below(by) for by in parent.values()), total


def crossings(lab, ways, run):
    """Round trips after the log-in, from the first log-in that sshd accepts to the end of the run.

    Measured over two ways that differ only in their delay (seconds each way: way): every round
    trip adds twice the difference, and the news of the log-in adds it once; the work does not
    change. So it counts what really waits for the other side, in the SSH protocol too."""
    (near, near_way), (far, far_way) = sorted(ways.items())
    times = []
    for way in (near_way, far_way):
        took = []
        for _ in range(3):
            result = run(way)
            end = result["started"] + result["wall"]
            took.append(end - accepted(lab, result["started"]))
        times.append(min(took))
    slope = (times[1] - times[0]) / (far - near)
    return (slope - 1) / 2


def accepted(lab, since):
    """When the first host's sshd first accepted a log-in after that time."""
    command = ["journalctl", "-q", "--no-pager", "-o", "json", f"--since=@{int(since)}"]
    for _ in range(20):
        found = subprocess.run(lab.inside(*command), capture_output=True, text=True, check=True)
        for line in found.stdout.splitlines():
            entry = json.loads(line)
            stamp = int(entry.get("_SOURCE_REALTIME_TIMESTAMP", entry["__REALTIME_TIMESTAMP"]))
            message = entry.get("MESSAGE") or ""
            if str(message).startswith("Accepted ") and stamp / 1e6 >= since:
                return stamp / 1e6
        time.sleep(0.1)
    raise RuntimeError("the host's journal has no log-in of that run")
