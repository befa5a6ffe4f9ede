"""Runs one command and says what it took. A process of its own, and a small one: the peak memory
of a child begins with that of the process that started it, so this stays below any contender.

Takes one JSON object on standard input and prints one:
  {"argv": […], "env": {…}, "stdin": path, "stdout": path, "stderr": path, "after": [[…]]}
  {"status": n, "started": unix s, "wall": s, "cpu": s, "peak_kb": n}
`after` are commands that end what the first one left running; what they take is not counted."""

import json
import os
import sys
import time


def spawn(argv, env, stdin, stdout, stderr):
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, stdout, write, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, stderr, write, 0o600),
    ]
    return os.posix_spawnp(argv[0], argv, env, file_actions=actions)


def adopt_orphans():
    """What daemonizes itself comes back to us, so that its time is counted as well."""
    import ctypes

    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def main():
    spec = json.load(sys.stdin)
    env = spec["env"]
    started, begin = time.time(), time.monotonic()
    child = spawn(spec["argv"], env, spec["stdin"], spec["stdout"], spec["stderr"])
    adopt_orphans()
    cpu, peak, status, wall = 0.0, 0, None, None
    pending = [spec["after"], set()]
    while True:
        try:
            pid, code, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        if pid == child:
            wall = time.monotonic() - begin
            status = os.waitstatus_to_exitcode(code)
            for argv in pending[0]:
                pending[1].add(spawn(argv, env, "/dev/null", "/dev/null", "/dev/null"))
        if pid not in pending[1]:
            cpu += usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss)
    result = {"status": status, "started": started, "wall": wall, "cpu": cpu, "peak_kb": peak}
    print(json.dumps(result))


main()
