# The 60 tasks of README.md as one batched check in sh: what the work costs when nothing is in the
# way. It changes nothing, prints each task that is not as demanded, and then their number.
# For root, on a Debian 12: `ssh host sudo sh -s <plain.sh`.
main() {
bad=0
fail() { bad=$((bad + 1)); echo "not as demanded: $*"; }
tab=$(printf '\t')

# Sysctls: the running value, and that a file holds it. One read each for all.
values=$(cd /proc/sys && grep -H . \
    net/ipv4/ip_forward \
    net/ipv4/conf/all/send_redirects \
    net/ipv4/conf/default/send_redirects \
    net/ipv4/icmp_ignore_bogus_error_responses \
    net/ipv4/icmp_echo_ignore_broadcasts \
    net/ipv4/conf/all/accept_redirects \
    net/ipv4/conf/default/accept_redirects \
    net/ipv4/conf/all/secure_redirects \
    net/ipv4/conf/default/secure_redirects \
    net/ipv4/conf/all/rp_filter \
    net/ipv4/conf/default/rp_filter \
    net/ipv4/conf/all/accept_source_route \
    net/ipv4/conf/default/accept_source_route \
    net/ipv4/conf/all/log_martians \
    net/ipv4/conf/default/log_martians \
    net/ipv4/tcp_syncookies \
    net/ipv4/tcp_rfc1337 \
    net/ipv6/conf/all/accept_redirects \
    net/ipv6/conf/default/accept_redirects \
    net/ipv6/conf/all/accept_source_route)
saved=$(cat /etc/sysctl.d/*.conf | tr -d ' ')
nl='
'
sysctl() {
    case $nl$values$nl in *"$nl$2:$3$nl"*) ;; *) fail "sysctl $1 runs"; return ;; esac
    case $nl$saved$nl in *"$nl$1=$3$nl"*) ;; *) fail "sysctl $1 saved" ;; esac
}
sysctl net.ipv4.ip_forward net/ipv4/ip_forward 0
sysctl net.ipv4.conf.all.send_redirects net/ipv4/conf/all/send_redirects 0
sysctl net.ipv4.conf.default.send_redirects net/ipv4/conf/default/send_redirects 0
sysctl net.ipv4.icmp_ignore_bogus_error_responses net/ipv4/icmp_ignore_bogus_error_responses 1
sysctl net.ipv4.icmp_echo_ignore_broadcasts net/ipv4/icmp_echo_ignore_broadcasts 1
sysctl net.ipv4.conf.all.accept_redirects net/ipv4/conf/all/accept_redirects 0
sysctl net.ipv4.conf.default.accept_redirects net/ipv4/conf/default/accept_redirects 0
sysctl net.ipv4.conf.all.secure_redirects net/ipv4/conf/all/secure_redirects 0
sysctl net.ipv4.conf.default.secure_redirects net/ipv4/conf/default/secure_redirects 0
sysctl net.ipv4.conf.all.rp_filter net/ipv4/conf/all/rp_filter 1
sysctl net.ipv4.conf.default.rp_filter net/ipv4/conf/default/rp_filter 1
sysctl net.ipv4.conf.all.accept_source_route net/ipv4/conf/all/accept_source_route 0
sysctl net.ipv4.conf.default.accept_source_route net/ipv4/conf/default/accept_source_route 0
sysctl net.ipv4.conf.all.log_martians net/ipv4/conf/all/log_martians 1
sysctl net.ipv4.conf.default.log_martians net/ipv4/conf/default/log_martians 1
sysctl net.ipv4.tcp_syncookies net/ipv4/tcp_syncookies 1
sysctl net.ipv4.tcp_rfc1337 net/ipv4/tcp_rfc1337 1
sysctl net.ipv6.conf.all.accept_redirects net/ipv6/conf/all/accept_redirects 0
sysctl net.ipv6.conf.default.accept_redirects net/ipv6/conf/default/accept_redirects 0
sysctl net.ipv6.conf.all.accept_source_route net/ipv6/conf/all/accept_source_route 0

# Owners and modes: one stat for all.
stats=$(stat -c '%n %U:%G %a' \
    /etc/passwd \
    /etc/group \
    /etc/shadow \
    /etc/gshadow \
    /etc/shells \
    /etc/login.defs \
    /etc/crontab \
    /etc/cron.d \
    /etc/cron.hourly \
    /etc/cron.daily \
    /etc/cron.weekly \
    /etc/cron.monthly \
    /etc/ssh/sshd_config \
    /etc/sudoers \
    /etc/sudoers.d \
    /etc/issue \
    /etc/issue.net \
    /etc/motd \
    /etc/modprobe.d/workload.conf \
    /etc/profile.d/workload.sh)
file() { case $nl$stats$nl in *"$nl$1 $2 $3$nl"*) ;; *) fail "file $1" ;; esac; }
file /etc/passwd root:root 644
file /etc/group root:root 644
file /etc/shadow root:shadow 640
file /etc/gshadow root:shadow 640
file /etc/shells root:root 644
file /etc/login.defs root:root 644
file /etc/crontab root:root 600
file /etc/cron.d root:root 700
file /etc/cron.hourly root:root 700
file /etc/cron.daily root:root 700
file /etc/cron.weekly root:root 700
file /etc/cron.monthly root:root 700
file /etc/ssh/sshd_config root:root 600
file /etc/sudoers root:root 440
file /etc/sudoers.d root:root 750

# Lines of files: each file is read once.
has() { case $nl$1$nl in *"$nl$2$nl"*) ;; *) fail "line $2" ;; esac; }
text=$(cat /etc/login.defs)
has "$text" "PASS_MAX_DAYS${tab}365"
has "$text" "PASS_MIN_DAYS${tab}1"
has "$text" "PASS_WARN_AGE${tab}7"
has "$text" "UMASK${tab}027"
has "$text" "LOG_OK_LOGINS${tab}yes"
text=$(cat /etc/systemd/journald.conf)
has "$text" Storage=persistent
has "$text" Compress=yes
has "$text" SystemMaxUse=200M
text=$(cat /etc/security/limits.conf)
has "$text" '* hard core 0'
text=$(cat /etc/logrotate.conf)
has "$text" 'compress'

# Packages: one query for all.
packages=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' cron nftables openssh-server rsyslog sudo)
has "$packages" 'cron installed'
has "$packages" 'nftables installed'
has "$packages" 'openssh-server installed'
has "$packages" 'rsyslog installed'
has "$packages" 'sudo installed'

# Units: one question for all.
units=$(systemctl show -p Id,UnitFileState,ActiveState cron.service logrotate.timer nftables.service rsyslog.service ssh.service)
unit() {
    block=${units#*"Id=$1$nl"}
    [ "$block" != "$units" ] || { fail "unit $1"; return; }
    block=${block%%"$nl$nl"*}
    case $nl$block$nl in *"${nl}ActiveState=active$nl"*) ;; *) fail "unit $1 is not active"; return ;; esac
    case $nl$block$nl in *"${nl}UnitFileState=enabled$nl"*) ;; *) fail "unit $1 is not enabled" ;; esac
}
unit cron.service
unit logrotate.timer
unit nftables.service
unit rsyslog.service
unit ssh.service

# Contents: the text, and owner and mode from the stat above.
content() {
    case $nl$stats$nl in *"$nl$1 root:root 644$nl"*) ;; *) fail "content $1: owner or mode"; return ;; esac
    [ "$(cat "$1"; echo .)" = "$2$nl." ] || fail "content $1"
}
content /etc/issue 'Authorised use only. What is done here is recorded.'
content /etc/issue.net 'Authorised use only. What is done here is recorded.'
content /etc/motd 'This host is managed: changes made by hand are found and undone.'
content /etc/modprobe.d/workload.conf 'install cramfs /bin/false
blacklist cramfs
install hfs /bin/false
blacklist hfs'
content /etc/profile.d/workload.sh 'readonly TMOUT=900
export TMOUT
umask 027'
echo "tasks not as demanded: $bad"
}
main </dev/null
