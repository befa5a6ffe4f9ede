"""The 60 tasks of ../README.md, one operation each."""

from io import StringIO

from pyinfra import config
from pyinfra.operations import apt, files, server, systemd

config.SUDO = True

SYSCTLS = {
    "net.ipv4.ip_forward": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv4.icmp_ignore_bogus_error_responses": 1,
    "net.ipv4.icmp_echo_ignore_broadcasts": 1,
    "net.ipv4.conf.all.accept_redirects": 0,
    "net.ipv4.conf.default.accept_redirects": 0,
    "net.ipv4.conf.all.secure_redirects": 0,
    "net.ipv4.conf.default.secure_redirects": 0,
    "net.ipv4.conf.all.rp_filter": 1,
    "net.ipv4.conf.default.rp_filter": 1,
    "net.ipv4.conf.all.accept_source_route": 0,
    "net.ipv4.conf.default.accept_source_route": 0,
    "net.ipv4.conf.all.log_martians": 1,
    "net.ipv4.conf.default.log_martians": 1,
    "net.ipv4.tcp_syncookies": 1,
    "net.ipv4.tcp_rfc1337": 1,
    "net.ipv6.conf.all.accept_redirects": 0,
    "net.ipv6.conf.default.accept_redirects": 0,
    "net.ipv6.conf.all.accept_source_route": 0,
}
MODES = [
    ("/etc/passwd", "root", "644"),
    ("/etc/group", "root", "644"),
    ("/etc/shadow", "shadow", "640"),
    ("/etc/gshadow", "shadow", "640"),
    ("/etc/shells", "root", "644"),
    ("/etc/login.defs", "root", "644"),
    ("/etc/crontab", "root", "600"),
    ("/etc/cron.d", "root", "700"),
    ("/etc/cron.hourly", "root", "700"),
    ("/etc/cron.daily", "root", "700"),
    ("/etc/cron.weekly", "root", "700"),
    ("/etc/cron.monthly", "root", "700"),
    ("/etc/ssh/sshd_config", "root", "600"),
    ("/etc/sudoers", "root", "440"),
    ("/etc/sudoers.d", "root", "750"),
]
LOGIN_DEFS = {
    "PASS_MAX_DAYS": "365",
    "PASS_MIN_DAYS": "1",
    "PASS_WARN_AGE": "7",
    "UMASK": "027",
    "LOG_OK_LOGINS": "yes",
}
JOURNALD = {
    "Storage": "persistent",
    "Compress": "yes",
    "SystemMaxUse": "200M",
}
LINES = {
    "/etc/security/limits.conf": "* hard core 0",
    "/etc/logrotate.conf": "compress",
}
PACKAGES = ["cron", "nftables", "openssh-server", "rsyslog", "sudo"]
UNITS = [
    "cron.service",
    "logrotate.timer",
    "nftables.service",
    "rsyslog.service",
    "ssh.service",
]
CONTENTS = {
    "/etc/issue": "Authorised use only. What is done here is recorded.\n",
    "/etc/issue.net": "Authorised use only. What is done here is recorded.\n",
    "/etc/motd": "This host is managed: changes made by hand are found and undone.\n",
    "/etc/modprobe.d/workload.conf": "install cramfs /bin/false\nblacklist cramfs\ninstall hfs /bin/false\nblacklist hfs\n",
    "/etc/profile.d/workload.sh": "readonly TMOUT=900\nexport TMOUT\numask 027\n",
}

for key, value in SYSCTLS.items():
    server.sysctl(
        name=f"sysctl {key}",
        key=key,
        value=value,
        persist=True,
        persist_file="/etc/sysctl.d/90-pyinfra.conf",
    )
for path, group, mode in MODES:
    operation = files.directory if path.endswith((".d", "ly")) else files.file
    operation(name=f"file {path}", path=path, user="root", group=group, mode=mode)
for key, value in LOGIN_DEFS.items():
    files.line(
        name=f"login.defs {key}",
        path="/etc/login.defs",
        line=rf"^#?\s*{key}\s.*$",
        replace=f"{key}\t{value}",
    )
for key, value in JOURNALD.items():
    files.line(
        name=f"journald {key}",
        path="/etc/systemd/journald.conf",
        line=rf"^#?{key}=.*$",
        replace=f"{key}={value}",
    )
for path, line in LINES.items():
    files.line(name=f"line {path}", path=path, line=line, escape_regex_characters=True)
for package in PACKAGES:
    apt.packages(name=f"package {package}", packages=[package])
for unit in UNITS:
    systemd.service(name=f"unit {unit}", service=unit, running=True, enabled=True)
for path, text in CONTENTS.items():
    files.put(
        name=f"content {path}",
        src=StringIO(text),
        dest=path,
        user="root",
        group="root",
        mode="644",
    )
