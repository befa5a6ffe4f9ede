"""What is measured against what: for each contender its command, and how to tell from what it said
that it did the whole work and changed nothing."""

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Callable

from lab import HERE

WORKLOAD = HERE.parent / "workload"
TASKS = 60
STATUSES = ["changed", "fail", "unknown", "waived", "manual", "not-applicable"]
ALL_PASS = {"pass": TASKS} | dict.fromkeys(STATUSES, 0)


@dataclass
class Contender:
    name: str
    #: way → argv
    command: Callable
    #: (way, status, stdout, stderr) → None, or what is wrong
    wrong: Callable
    env: dict = field(default_factory=dict)
    #: way → commands that end what was left running
    after: Callable = lambda way: []
    #: the same, with an answer that says more: for runs that are not measured
    strict: "Contender | None" = None


def parallel(template):
    """One shell that starts the command for every host at once, and waits for all."""

    def command(way):
        lines = [
            f"{template(way, name)} || echo failed: {name} &" for name, _, _ in way.places
        ]
        return ["sh", "-c", "\n".join(lines + ["wait"])]

    return command


def ssh_true(name, options=""):
    def wrong(way, status, out, err):
        return None if status == 0 and not out else f"{out}{err}"

    def one(way, host):
        return f"ssh -n -F {shlex.quote(str(way.ssh_config))} {options} {host} true"

    return Contender(name, parallel(one), wrong)


def plain():
    def wrong(way, status, out, err):
        fine = out.count("tasks not as demanded: 0\n")
        return None if fine == len(way.places) else f"{out}{err}"

    def one(way, host):
        program = shlex.quote(str(WORKLOAD / "plain.sh"))
        return f"ssh -F {shlex.quote(str(way.ssh_config))} {host} sudo sh -s <{program}"

    return Contender("ssh and one batched sh program", parallel(one), wrong)


def seawall(binary, name, verb, playbook, home, more=(), clean=False):
    """As a person runs it, with the summary on standard output. `clean`: every rule must pass, on
    every host; the exit code says so, and the first, stricter run proves that it does."""

    def argv(way, output):
        return [binary, verb, str(playbook), "-i", str(way.seawall), output, *more]

    def wrong(way, status, out, err):
        return None if status in ((0,) if clean else (0, 1)) else f"exit {status}: {out}{err}"

    def wrong_in_detail(way, status, out, err):
        try:
            hosts = json.loads(out)["hosts"]
        except (ValueError, KeyError) as reason:
            return f"exit {status}, no findings ({reason}): {err}"
        if len(hosts) != len(way.places):
            return f"{len(hosts)} hosts of {len(way.places)} are in the answer"
        for host in hosts:
            if not host["seen"] or clean and host["counts"] != ALL_PASS:
                return f"{host['host']}: {json.dumps(host, indent=1)}\n{err}"
        return wrong(way, status, "", err)

    env = {"SEAWALL_STATE_DIR": str(home)}
    strict = Contender(name, lambda way: argv(way, "--json"), wrong_in_detail, env)
    return Contender(name, lambda way: argv(way, "--quiet"), wrong, env, strict=strict)


def pyinfra(tool):
    def wrong(way, status, out, err):
        text = re.sub(r"\x1b\[[0-9;]*m", "", out + err)
        total = re.search(r"Grand total\W+(.*)", text)
        numbers = re.findall(r"\d+|-", total.group(1)) if total else []
        expected = ["-", "-", str(TASKS * len(way.places))]  # changed, failed, as it was
        return None if status == 0 and numbers[-3:] == expected else text[-3000:]

    def command(way):
        return [str(tool), "-y", str(way.pyinfra), str(WORKLOAD / "pyinfra/deploy.py")]

    return Contender("pyinfra", command, wrong, {"PYINFRA_PROGRESS": "off"})


def ansible(tool, name, sockets, env):
    def wrong(way, status, out, err):
        fine = re.findall(rf"ok={TASKS}\s+changed=0\s+unreachable=0\s+failed=0", out)
        return None if status == 0 and len(fine) == len(way.places) else (out + err)[-3000:]

    def command(way):
        return [str(tool), "-i", str(way.ansible), str(WORKLOAD / "ansible/playbook.yml")]

    def after(way):
        # Every run makes its own connections, as the first one of a day does.
        end = f"ssh -F {shlex.quote(str(way.ssh_config))} -o ControlPath=$socket -O exit any"
        folder = shlex.quote(str(sockets))
        return [["sh", "-c", f'for socket in {folder}/*; do [ ! -S "$socket" ] || {end}; done']]

    settings = {
        "ANSIBLE_CONFIG": str(WORKLOAD / "ansible/ansible.cfg"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_HOME": str(sockets.parent),
        "ANSIBLE_NOCOLOR": "1",
    }
    return Contender(name, command, wrong, settings | env, after)


def changed(out, err):
    """How many tasks a tool says that it changed, whichever tool it is."""
    if out.startswith("{"):
        return json.loads(out)["counts"]["changed"]
    text = re.sub(r"\x1b\[[0-9;]*m", "", out + err)
    total = re.search(r"Grand total\W+(.*)", text)
    if total:
        numbers = re.findall(r"\d+|-", total.group(1))
        return int(numbers[-3].replace("-", "0"))
    return sum(int(n) for n in re.findall(r"changed=(\d+)", text))
