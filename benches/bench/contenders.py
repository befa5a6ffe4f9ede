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
    """`clean`: every rule must pass, on every host."""

    def wrong(way, status, out, err):
        try:
            hosts = json.loads(out)["hosts"]
        except (ValueError, KeyError) as reason:
            return f"exit {status}, no findings ({reason}): {err}"
        if len(hosts) != len(way.places):
            return f"{len(hosts)} hosts of {len(way.places)} are in the answer"
        for host in hosts:
            statuses = [f["status"] for f in host["findings"]]
            if not statuses or "unknown" in statuses and clean:
                return f"{host['host']} was not seen whole: {err}"
            if clean and (len(statuses) != TASKS or set(statuses) != {"pass"}):
                return f"{host['host']}: not {TASKS} rules that all pass: {err}"
        return None if status in ((0,) if clean else (0, 1)) else f"exit {status}: {err}"

    def command(way):
        return [binary, verb, str(playbook), "-i", str(way.seawall), "--json", *more]

    return Contender(name, command, wrong, {"XDG_STATE_HOME": str(home)})


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


def changed(text):
    """How many tasks a tool says that it changed, whichever tool it is."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    if "PLAY RECAP" in text:
        return sum(int(n) for n in re.findall(r"changed=(\d+)", text))
    total = re.search(r"Grand total\W+(.*)", text)
    if total:
        numbers = re.findall(r"\d+|-", total.group(1))
        return int(numbers[-3].replace("-", "0"))
    return len(re.findall(r'"status":\s*"changed"', text))
