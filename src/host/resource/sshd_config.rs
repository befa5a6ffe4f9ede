//! sshd_config as sshd reads it, with its includes: where an option is set, and under what
//! condition.

use crate::host::probe::files::glob_match;
use crate::host::snapshot::{Seen, Snapshot};

pub const MAIN: &str = "/etc/ssh/sshd_config";
/// What the probe is asked for besides [`MAIN`].
pub const DROP_INS: &str = "/etc/ssh/sshd_config.d/*.conf";

/// How deep sshd follows includes, and how many files we do.
const DEPTH: usize = 16;
const FILES: usize = 200;

/// One line that sets something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub path: String,
    /// From 1.
    pub line: usize,
    /// In lower case.
    pub keyword: String,
    pub value: String,
    /// It holds for some connections only.
    pub in_match: bool,
}

/// All settings in the order in which sshd meets them, and what could not be seen of them.
#[derive(Debug, Default)]
pub struct Config {
    pub settings: Vec<Setting>,
    pub unseen: Vec<String>,
    files: usize,
}

impl Config {
    pub fn of(snapshot: &Snapshot) -> Config {
        let mut config = Config::default();
        config.file(snapshot, MAIN, false, 0);
        config
    }

    fn file(&mut self, snapshot: &Snapshot, path: &str, in_match: bool, depth: usize) {
        self.files += 1;
        if depth > DEPTH || self.files > FILES {
            self.unseen.push(format!("{path}: too many includes"));
            return;
        }
        let text = match super::paths::text(snapshot, path) {
            Ok(text) => text.unwrap_or_default(),
            Err(why) => return self.unseen.push(why),
        };
        let mut inside = in_match;
        for (at, line) in text.lines().enumerate() {
            let Some((keyword, value)) = key_value(line) else {
                continue;
            };
            match keyword.as_str() {
                "include" => {
                    for pattern in value.split_whitespace() {
                        self.include(snapshot, pattern.trim_matches('"'), inside, depth);
                    }
                }
                "match" => inside = in_match || !value.trim().eq_ignore_ascii_case("all"),
                _ => self.settings.push(Setting {
                    path: path.to_owned(),
                    line: at + 1,
                    keyword,
                    value,
                    in_match: inside,
                }),
            }
        }
    }

    fn include(&mut self, snapshot: &Snapshot, pattern: &str, in_match: bool, depth: usize) {
        let pattern = if pattern.starts_with('/') {
            pattern.to_owned()
        } else {
            format!("/etc/ssh/{pattern}")
        };
        let found: Vec<&String> = match snapshot.globs.get(&pattern) {
            Some(Seen::Yes(found)) => found.iter().collect(),
            Some(Seen::Absent) => Vec::new(),
            Some(Seen::No(why)) => return self.unseen.push(format!("{pattern}: {why}")),
            None if snapshot.files.contains_key(&pattern) => vec![&pattern],
            None => return self.unseen.push(format!("{pattern}: was not looked at")),
        };
        for path in found {
            self.file(snapshot, path, in_match, depth + 1);
        }
    }

    /// Where an option is set for every connection, in order.
    pub fn global<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a Setting> {
        self.settings
            .iter()
            .filter(move |s| !s.in_match && s.keyword == keyword)
    }
}

/// The keyword of a line, in lower case, and its value without quotes and comment.
pub fn key_value(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line
        .find(|c: char| c.is_whitespace() || c == '=')
        .unwrap_or(line.len());
    let (keyword, rest) = (line.get(..end)?, line.get(end..)?);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    let value = match rest.split_once(" #") {
        Some((value, _)) if !value.contains('"') => value.trim_end(),
        _ => rest,
    };
    let bare = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .filter(|v| !v.contains('"'));
    let value = bare.unwrap_or(value);
    Some((keyword.to_ascii_lowercase(), value.to_owned()))
}

/// Whether one of the includes of a text, which stands before any `Match`, covers this path.
pub fn includes(text: &str, path: &str) -> bool {
    text.lines()
        .filter_map(key_value)
        .take_while(|(keyword, _)| keyword != "match")
        .filter(|(keyword, _)| keyword == "include")
        .any(|(_, value)| {
            value.split_whitespace().any(|pattern| {
                glob_match(pattern, path) || glob_match(&format!("/etc/ssh/{pattern}"), path)
            })
        })
}

/// The options of OpenSSH's sshd, as its manual spells them.
pub const OPTIONS: &[&str] = &[
    "AcceptEnv",
    "AddressFamily",
    "AllowAgentForwarding",
    "AllowGroups",
    "AllowStreamLocalForwarding",
    "AllowTcpForwarding",
    "AllowUsers",
    "AuthenticationMethods",
    "AuthorizedKeysCommand",
    "AuthorizedKeysCommandUser",
    "AuthorizedKeysFile",
    "AuthorizedPrincipalsCommand",
    "AuthorizedPrincipalsCommandUser",
    "AuthorizedPrincipalsFile",
    "Banner",
    "CASignatureAlgorithms",
    "ChannelTimeout",
    "ChrootDirectory",
    "Ciphers",
    "ClientAliveCountMax",
    "ClientAliveInterval",
    "Compression",
    "DebianBanner",
    "DenyGroups",
    "DenyUsers",
    "DisableForwarding",
    "ExposeAuthInfo",
    "FingerprintHash",
    "ForceCommand",
    "GatewayPorts",
    "GSSAPIAuthentication",
    "GSSAPICleanupCredentials",
    "GSSAPIKeyExchange",
    "GSSAPIStoreCredentialsOnRekey",
    "GSSAPIStrictAcceptorCheck",
    "HostbasedAcceptedAlgorithms",
    "HostbasedAuthentication",
    "HostbasedUsesNameFromPacketOnly",
    "HostCertificate",
    "HostKey",
    "HostKeyAgent",
    "HostKeyAlgorithms",
    "IgnoreRhosts",
    "IgnoreUserKnownHosts",
    "IPQoS",
    "KbdInteractiveAuthentication",
    "KerberosAuthentication",
    "KerberosGetAFSToken",
    "KerberosOrLocalPasswd",
    "KerberosTicketCleanup",
    "KexAlgorithms",
    "ListenAddress",
    "LoginGraceTime",
    "LogLevel",
    "LogVerbose",
    "MACs",
    "MaxAuthTries",
    "MaxSessions",
    "MaxStartups",
    "ModuliFile",
    "PasswordAuthentication",
    "PermitEmptyPasswords",
    "PermitListen",
    "PermitOpen",
    "PermitRootLogin",
    "PermitTTY",
    "PermitTunnel",
    "PermitUserEnvironment",
    "PermitUserRC",
    "PerSourceMaxStartups",
    "PerSourceNetBlockSize",
    "PerSourcePenalties",
    "PidFile",
    "Port",
    "PrintLastLog",
    "PrintMotd",
    "PubkeyAcceptedAlgorithms",
    "PubkeyAuthOptions",
    "PubkeyAuthentication",
    "RefuseConnection",
    "RekeyLimit",
    "RequiredRSASize",
    "RevokedKeys",
    "SecurityKeyProvider",
    "SetEnv",
    "StreamLocalBindMask",
    "StreamLocalBindUnlink",
    "StrictModes",
    "Subsystem",
    "SyslogFacility",
    "TCPKeepAlive",
    "TrustedUserCAKeys",
    "UnusedConnectionTimeout",
    "UseDNS",
    "UsePAM",
    "VersionAddendum",
    "X11DisplayOffset",
    "X11Forwarding",
    "X11UseLocalhost",
    "XAuthLocation",
];

/// The manual's spelling of an option.
pub fn spelled(option: &str) -> Option<&'static str> {
    OPTIONS
        .iter()
        .find(|o| o.eq_ignore_ascii_case(option))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::super::paths::tests::snapshot;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_read_as_sshd_reads_them() {
        let read = |l: &str| key_value(l).unwrap();
        let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        assert_eq!(read("Port 22"), pair("port", "22"));
        assert_eq!(read("  PORT=22 # why"), pair("port", "22"));
        assert_eq!(read("Port = 22"), pair("port", "22"));
        assert_eq!(read("Banner \"/etc/a b\""), pair("banner", "/etc/a b"));
        assert_eq!(key_value("#Port 22"), None);
        assert_eq!(key_value("   "), None);
    }

    #[test]
    fn includes_and_matches_are_followed() {
        let s = snapshot(
            &[
                (
                    MAIN,
                    "Include sshd_config.d/*.conf\nPort 1\nMatch User ann\n  X11Forwarding yes\nMatch all\nPort 2\n",
                ),
                (
                    "/etc/ssh/sshd_config.d/a.conf",
                    "Port 3\nMatch Group x\nPort 4\n",
                ),
                (
                    "/etc/ssh/sshd_config.d/b.conf",
                    "Port 5\nInclude /etc/other/*.conf\n",
                ),
            ],
            &[DROP_INS],
        );
        let config = Config::of(&s);
        let ports: Vec<_> = config.global("port").map(|s| s.value.as_str()).collect();
        assert_eq!(ports, ["3", "5", "1", "2"]);
        let inside: Vec<_> = config
            .settings
            .iter()
            .filter(|s| s.in_match)
            .map(|s| s.line)
            .collect();
        assert_eq!(inside, [3, 4]);
        assert_eq!(config.unseen, ["/etc/other/*.conf: was not looked at"]);
    }

    #[test]
    fn includes_in_a_circle_end() {
        let s = snapshot(&[(MAIN, "Include /etc/ssh/sshd_config\nPort 1\n")], &[]);
        assert!(!Config::of(&s).unseen.is_empty());
        let s = snapshot(&[(MAIN, &"Include /etc/ssh/sshd_config\n".repeat(50))], &[]);
        assert!(!Config::of(&s).unseen.is_empty());
    }

    proptest! {
        #[test]
        fn hostile_text_does_no_harm(text in "((Match|Include|Port|x)[ =]?[a\"*/#]{0,3}\n|\\PC){0,12}") {
            let s = snapshot(&[(MAIN, &text), ("/etc/ssh/sshd_config.d/a.conf", &text)], &[DROP_INS]);
            Config::of(&s);
            includes(&text, MAIN);
        }
    }
}
