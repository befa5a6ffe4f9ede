"""The tables, in Markdown: as they are printed they can stand in the README."""

from statistics import median

TRUE = "ssh host true"
CURVE = "ssh host true, curve25519-sha256"
APPLY = "seawall apply, 60 tasks"
FULL = "seawall check, full baseline, level 2"


def middle(results):
    """Medians of one contender's runs; the slowest and the quickest wall time beside them."""
    if not results:
        return None
    pick = {k: median(r[k] for r in results) for k in ("wall", "cpu", "hosts_cpu")}
    pick["peak"] = max(r["peak_kb"] for r in results) / 1000
    pick["span"] = (min(r["wall"] for r in results), max(r["wall"] for r in results))
    pick["runs"] = len(results)
    return pick


def about(lines):
    print("\n".join(f"- {line}" for line in lines) + "\n", flush=True)


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def setting(title, count, found):
    print(f"### {count} {'host' if count == 1 else 'hosts'}, {title}\n")
    base = found[TRUE]["wall"]
    rows = []
    for name, m in found.items():
        if m is None:
            continue
        rows.append(
            [
                name,
                f"{m['wall']:.2f}",
                f"{m['span'][0]:.2f}–{m['span'][1]:.2f}",
                f"{m['wall'] / base:.2f}",
                f"{m['cpu']:.2f}",
                f"{m['hosts_cpu']:.2f}",
                f"{m['peak']:.0f}",
                str(m["runs"]),
            ]
        )
    head = ["", "wall s", "from–to", "÷ ssh host true", "controller CPU s", "hosts' CPU s"]
    table(head + ["peak MB", "runs"], rows)


def ratios(found):
    rows = []
    for title, count, results in found:
        where = f"{count} {'host' if count == 1 else 'hosts'}, {title}"
        full, apply = results[FULL]["wall"], results[APPLY]["wall"]
        bound = "≤ 1.3" if count == 1 else "≤ 1.0"
        slow = title != "direct link"
        for other, aim in ((TRUE, bound), (CURVE, "≤ 1.6")):
            ratio = full / results[other]["wall"]
            rows.append([f"{FULL} ÷ {other}", where, f"{ratio:.2f}", aim])
        for name in results:
            if name == "pyinfra":
                bound = "≥ 15" if slow else "≥ 8"
            elif name.startswith("Ansible"):
                bound = "" if slow or "mitogen" in name else "≥ 80"
            else:
                continue
            ratio = results[name]["wall"] / apply
            rows.append([f"{name} ÷ {APPLY}", where, f"{ratio:.1f}", bound])
        if count == 50:
            peak = f"{results[FULL]['peak']:.0f} MB"
            rows.append([f"{FULL}: peak memory", where, peak, "< 60 MB"])
    print("### Ratios\n")
    table(["", "where", "measured", "aim"], rows)


def host_costs(costs):
    forks, trips = costs
    print("### On the host\n")
    rows = []
    for name, counted in forks.items():
        programs, below, everything = counted or ("no strace here", "", "")
        aim = "< 40" if "full" in name else ""
        rows.append([name, str(programs), str(below), aim, str(everything)])
    head = ["", "programs sent", "their forks", "aim", "with sshd's, PAM's and sudo's"]
    table(head, rows)
    rows = [[name, f"{count:.1f}"] for name, count in trips.items()]
    table(["", "round trips after the log-in"], rows)
