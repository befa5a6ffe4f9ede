"""The peers, installed from PyPI into the benchmark's own cache."""

import os
import subprocess
import sys
from pathlib import Path

# `ansible` brings ansible-core and the collection that has its sysctl module.
PACKAGES = ["ansible", "mitogen", "pyinfra"]


def cache():
    named = os.environ.get("SEAWALL_BENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(named) if named else Path(base) / "seawall-bench"


def install():
    """The folder of their programs; made at the first use."""
    folder = cache() / f"peers-{sys.version_info[0]}.{sys.version_info[1]}"
    done = folder / "complete"
    if not done.exists():
        print(f"installing {', '.join(PACKAGES)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, stdout=sys.stderr)
        pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True, stdout=sys.stderr)
        done.touch()
    return folder / "bin"


def versions(bin):
    listed = subprocess.run(
        [bin / "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wanted = ["ansible-core", "mitogen", "pyinfra"]
    found = dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)
    return [f"{name} {found[name]}" for name in wanted if name in found]


def mitogen_strategy(bin):
    """The folder of mitogen's strategy plugins."""
    found = list(bin.parent.glob("lib/python3*/site-packages/ansible_mitogen/plugins/strategy"))
    return str(found[0]) if found else None
