//! What the user's OpenSSH configuration says about a host: `ssh -G`, or OpenSSH's defaults where
//! nothing is configured that would matter.
//!
//! `ssh -G` is exact (Include, Match, tokens), and costs a process per host. So the files are
//! looked at first: where they hold nothing but lines that change nothing for us, it is not asked.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::{ConfigSource, Phase, ReachError};
use crate::shell::clean;

/// What is configured for one host. Paths are expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostConfig {
    pub(super) host: String,
    pub(super) user: String,
    pub(super) port: u16,
    pub(super) identities: Vec<PathBuf>,
    pub(super) certificates: Vec<PathBuf>,
    /// The identities are OpenSSH's defaults: nobody named them.
    pub(super) default_identities: bool,
    pub(super) identities_only: bool,
    /// `None`: what `SSH_AUTH_SOCK` says.
    pub(super) agent: Option<Agent>,
    pub(super) user_known_hosts: Vec<PathBuf>,
    pub(super) global_known_hosts: Vec<PathBuf>,
    pub(super) hash_known_hosts: bool,
    /// A list of revoked keys, as text or as OpenSSH's own KRL.
    pub(super) revoked_keys: Option<PathBuf>,
    pub(super) host_key_alias: Option<String>,
    /// `[user@]host[:port]`, nearest to us first.
    pub(super) jump: Vec<String>,
    pub(super) proxy_command: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    None,
    Socket(PathBuf),
}

/// Who runs this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Me {
    pub(super) user: String,
    pub(super) home: PathBuf,
}

impl Me {
    /// From the password file, as OpenSSH does it; from the environment where that has no line.
    pub(super) fn find() -> Me {
        use std::os::unix::fs::MetadataExt;
        let uid = std::fs::metadata("/proc/self").map(|m| m.uid()).ok();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = uid.and_then(|uid| {
            passwd.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                match fields.as_slice() {
                    [name, _, id, _, _, home, ..] if id.parse() == Ok(uid) => {
                        Some(((*name).to_owned(), PathBuf::from(home)))
                    }
                    _ => None,
                }
            })
        });
        let (user, home) = entry.unwrap_or_else(|| {
            (
                std::env::var("USER").unwrap_or_else(|_| "root".into()),
                std::env::home_dir().unwrap_or_else(|| "/".into()),
            )
        });
        Me { user, home }
    }
}

const DEFAULT_IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// OpenSSH's defaults for a host.
pub(super) fn defaults(me: &Me, host: &str, hash_known_hosts: bool) -> HostConfig {
    let ssh = me.home.join(".ssh");
    HostConfig {
        host: host.to_owned(),
        user: me.user.clone(),
        port: 22,
        identities: DEFAULT_IDENTITIES.iter().map(|f| ssh.join(f)).collect(),
        default_identities: true,
        user_known_hosts: vec![ssh.join("known_hosts"), ssh.join("known_hosts2")],
        global_known_hosts: vec![
            "/etc/ssh/ssh_known_hosts".into(),
            "/etc/ssh/ssh_known_hosts2".into(),
        ],
        hash_known_hosts,
        ..HostConfig::default()
    }
}

/// What the configuration files demand of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relevance {
    /// Something in them may matter: ask `ssh -G`.
    Ask,
    /// Nothing does.
    Defaults { hash_known_hosts: bool },
}

/// Looks through the files of a source.
pub(super) fn relevance(source: &ConfigSource, me: &Me) -> Relevance {
    let files = match source {
        ConfigSource::None => Vec::new(),
        ConfigSource::File(_) => return Relevance::Ask,
        ConfigSource::User => vec![
            me.home.join(".ssh/config"),
            PathBuf::from("/etc/ssh/ssh_config"),
        ],
    };
    let mut hash = false;
    for file in &files {
        let folder = file.parent().unwrap_or(Path::new("/"));
        if !is_irrelevant(file, folder, &mut hash, 0) {
            return Relevance::Ask;
        }
    }
    Relevance::Defaults {
        hash_known_hosts: hash,
    }
}

/// Settings that change nothing for a program that runs without a terminal and forwards nothing,
/// or that this program settles itself.
const IRRELEVANT: &[&str] = &[
    "sendenv",
    "setenv",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "gssapikeyexchange",
    "forwardagent",
    "forwardx11",
    "forwardx11trusted",
    "addkeystoagent",
    "visualhostkey",
    "loglevel",
    "compression",
    "serveraliveinterval",
    "serveralivecountmax",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "escapechar",
    "xauthlocation",
];

fn is_irrelevant(file: &Path, folder: &Path, hash: &mut bool, depth: u8) -> bool {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        // OpenSSH goes on without a file that is not there, and so do we.
        Err(e) => return e.kind() == std::io::ErrorKind::NotFound,
    };
    text.lines().all(|line| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return true;
        }
        let (key, value) = split_setting(line);
        match key.to_ascii_lowercase().as_str() {
            "host" => value == "*",
            "hashknownhosts" => {
                *hash = value.eq_ignore_ascii_case("yes");
                true
            }
            "include" => {
                depth < 4
                    && value.split_whitespace().all(|pattern| {
                        included(pattern, folder).is_some_and(|files| {
                            files
                                .iter()
                                .all(|f| is_irrelevant(f, folder, hash, depth + 1))
                        })
                    })
            }
            key => IRRELEVANT.contains(&key),
        }
    })
}

/// `Key value` or `Key=value`.
fn split_setting(line: &str) -> (&str, &str) {
    let end = line
        .find(|c: char| c.is_whitespace() || c == '=')
        .unwrap_or(line.len());
    let (key, value) = line.split_at(end);
    (
        key,
        value.trim_start_matches(|c: char| c.is_whitespace() || c == '='),
    )
}

/// The files that an `Include` names, where it is simple enough: a path whose last part may hold
/// `*`. `None` where it is not.
fn included(pattern: &str, folder: &Path) -> Option<Vec<PathBuf>> {
    if pattern.contains(['~', '?', '[', '"', '%', '$', '\\']) {
        return None;
    }
    let path = folder.join(pattern);
    let parent = path.parent()?;
    let name = path.file_name()?.to_str()?;
    if parent.to_str()?.contains('*') {
        return None;
    }
    if !name.contains('*') {
        return Some(vec![path]);
    }
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Some(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|e| {
            e.file_name()
                .to_str()
                .is_some_and(|n| super::known_hosts::matches_pattern(name, n))
        })
        .map(|e| e.path())
        .collect();
    files.sort();
    Some(files)
}

/// Asks `ssh -G` about a host.
pub(super) async fn ask(
    source: &ConfigSource,
    me: &Me,
    host: &str,
    user: Option<&str>,
    port: Option<u16>,
) -> Result<HostConfig, ReachError> {
    let mut command = Command::new("ssh");
    command.arg("-G");
    if let ConfigSource::File(file) = source {
        command.arg("-F").arg(file);
    }
    if let Some(user) = user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    let output = command
        .arg("--")
        .arg(host)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| {
            ReachError::new(Phase::Prepare, format!("ssh -G cannot be run: {e}"))
                .hint("install the OpenSSH client, or remove the SSH configuration it would read")
        })?;
    if !output.status.success() {
        let said = clean(&String::from_utf8_lossy(&output.stderr), 300);
        return Err(ReachError::new(
            Phase::Prepare,
            format!("ssh -G does not accept the configuration: {said}"),
        ));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout), me, host))
}

/// Reads what `ssh -G` printed.
pub(super) fn parse(text: &str, me: &Me, asked: &str) -> HostConfig {
    let mut config = defaults(me, asked, false);
    let mut identities = Vec::new();
    let mut certificates = Vec::new();
    let (mut user_files, mut global_files, mut revoked) = (None, None, None);
    for line in text.lines() {
        let Some((key, value)) = line.split_once(' ') else {
            continue;
        };
        let value = value.trim();
        let is_none = value.eq_ignore_ascii_case("none");
        match key.to_ascii_lowercase().as_str() {
            "hostname" => config.host = value.to_owned(),
            "user" => config.user = value.to_owned(),
            "port" => config.port = value.parse().unwrap_or(22),
            "identityfile" if !is_none => identities.push(value.to_owned()),
            "certificatefile" if !is_none => certificates.push(value.to_owned()),
            "identitiesonly" => config.identities_only = value == "yes",
            "identityagent" => config.agent = agent(value, me),
            "userknownhostsfile" => user_files = Some(value.to_owned()),
            "globalknownhostsfile" => global_files = Some(value.to_owned()),
            "hashknownhosts" => config.hash_known_hosts = value == "yes",
            "revokedhostkeys" if !is_none => revoked = Some(value.to_owned()),
            "hostkeyalias" if !is_none => config.host_key_alias = Some(value.to_owned()),
            "proxyjump" if !is_none => {
                config.jump = value.split(',').map(|j| j.trim().to_owned()).collect();
            }
            "proxycommand" if !is_none => config.proxy_command = Some(value.to_owned()),
            _ => {}
        }
    }
    let tokens = Tokens::new(me, &config, asked);
    if let Some(files) = user_files {
        config.user_known_hosts = tokens.paths(&files);
    }
    if let Some(files) = global_files {
        config.global_known_hosts = tokens.paths(&files);
    }
    config.revoked_keys = revoked.map(|f| tokens.path(&f));
    config.certificates = certificates.iter().map(|f| tokens.path(f)).collect();
    // Those that nobody named are listed one by one; that list, and no other, ends with id_dsa or
    // holds the hardware kinds. The short list is tried instead.
    let is_default = |f: &String| f.starts_with("~/.ssh/id_");
    let named = !identities.iter().all(is_default) || identities.len() < 4;
    if named && !identities.is_empty() {
        config.identities = identities.iter().map(|f| tokens.path(f)).collect();
        config.default_identities = false;
    }
    config.proxy_command = config.proxy_command.as_deref().map(|c| tokens.expand(c));
    config
}

fn agent(value: &str, me: &Me) -> Option<Agent> {
    match value {
        "none" => Some(Agent::None),
        "SSH_AUTH_SOCK" => None,
        _ => match value.strip_prefix('$') {
            Some(name) => std::env::var_os(name.trim_matches(['{', '}']))
                .map(|p| Agent::Socket(p.into()))
                .or(Some(Agent::None)),
            None => Some(Agent::Socket(tilde(value, me))),
        },
    }
}

fn tilde(text: &str, me: &Me) -> PathBuf {
    match text.strip_prefix("~/") {
        Some(rest) => me.home.join(rest),
        None => PathBuf::from(text),
    }
}

/// What `%h` and its like stand for.
struct Tokens<'a> {
    me: &'a Me,
    host: String,
    asked: &'a str,
    port: u16,
    user: String,
    alias: String,
}

impl<'a> Tokens<'a> {
    fn new(me: &'a Me, config: &HostConfig, asked: &'a str) -> Self {
        Tokens {
            me,
            host: config.host.clone(),
            asked,
            port: config.port,
            user: config.user.clone(),
            alias: config
                .host_key_alias
                .clone()
                .unwrap_or_else(|| asked.to_owned()),
        }
    }

    fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => out.push('%'),
                Some('h') => out.push_str(&self.host),
                Some('n') => out.push_str(self.asked),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(&self.user),
                Some('u') => out.push_str(&self.me.user),
                Some('k') => out.push_str(&self.alias),
                Some('d') => out.push_str(&self.me.home.to_string_lossy()),
                Some(other) => {
                    out.push('%');
                    out.push(other);
                }
                None => out.push('%'),
            }
        }
        out
    }

    fn path(&self, text: &str) -> PathBuf {
        tilde(&self.expand(text), self.me)
    }

    fn paths(&self, text: &str) -> Vec<PathBuf> {
        text.split_whitespace()
            .filter(|f| !f.eq_ignore_ascii_case("none"))
            .map(|f| self.path(f))
            .collect()
    }
}

/// A jump host as people write it: `[user@]host[:port]`, with `[…]` around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Jump {
    pub(super) fn parse(text: &str) -> Option<Jump> {
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        } else {
            match rest.split_once(':') {
                // Two colons: an IPv6 address without brackets, and without a port.
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => None,
        };
        if host.is_empty() || host.starts_with('-') || user.as_deref() == Some("") {
            return None;
        }
        Some(Jump {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Me {
        Me {
            user: "ada".into(),
            home: "/home/ada".into(),
        }
    }

    #[test]
    fn what_ssh_g_prints_is_read() {
        let config = parse(
            "user deploy\nhostname 10.0.0.9\nport 2222\nidentityfile ~/.ssh/%r_key\n\
             identitiesonly yes\nidentityagent ~/agent.sock\nhashknownhosts yes\n\
             userknownhostsfile /home/ada/.ssh/known_hosts /tmp/%h\nproxyjump a@b:22,c\n\
             proxycommand none\nhostkeyalias web\ncertificatefile ~/c-cert.pub\n",
            &me(),
            "web1",
        );
        assert_eq!(config.user, "deploy");
        assert_eq!(config.host, "10.0.0.9");
        assert_eq!(config.port, 2222);
        assert_eq!(
            config.identities,
            [PathBuf::from("/home/ada/.ssh/deploy_key")]
        );
        assert!(!config.default_identities && config.identities_only && config.hash_known_hosts);
        assert_eq!(
            config.agent,
            Some(Agent::Socket("/home/ada/agent.sock".into()))
        );
        assert_eq!(
            config.user_known_hosts,
            [
                PathBuf::from("/home/ada/.ssh/known_hosts"),
                PathBuf::from("/tmp/10.0.0.9")
            ]
        );
        assert_eq!(config.jump, ["a@b:22", "c"]);
        assert_eq!(config.proxy_command, None);
        assert_eq!(config.host_key_alias.as_deref(), Some("web"));
        assert_eq!(config.certificates, [PathBuf::from("/home/ada/c-cert.pub")]);
    }

    #[test]
    fn the_default_identities_are_told_from_named_ones() {
        let all = "identityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ecdsa\n\
                   identityfile ~/.ssh/id_ecdsa_sk\nidentityfile ~/.ssh/id_ed25519\n";
        let config = parse(all, &me(), "h");
        assert!(config.default_identities);
        assert_eq!(config.identities.len(), 3);
        let one = parse("identityfile ~/.ssh/id_rsa\n", &me(), "h");
        assert!(!one.default_identities);
        assert_eq!(one.identities, [PathBuf::from("/home/ada/.ssh/id_rsa")]);
    }

    #[test]
    fn a_proxy_command_has_its_tokens_filled_in() {
        let config = parse(
            "hostname h.example\nport 22\nuser u\nproxycommand nc %h %p 100%% %n %r\n",
            &me(),
            "h",
        );
        assert_eq!(
            config.proxy_command.as_deref(),
            Some("nc h.example 22 100% h u")
        );
    }

    #[test]
    fn files_that_change_nothing_are_told_from_files_that_do() {
        let folder = tempfile::tempdir().unwrap();
        let home = Me {
            user: "ada".into(),
            home: folder.path().to_owned(),
        };
        std::fs::create_dir(folder.path().join(".ssh")).unwrap();
        let file = folder.path().join(".ssh/config");
        let included = folder.path().join("more.conf");
        let check = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let mut hash = false;
            let same = is_irrelevant(&file, &home.home, &mut hash, 0);
            (same, hash)
        };
        assert_eq!(
            check("# a comment\nHost *\n  SendEnv LANG LC_*\n HashKnownHosts yes\n"),
            (true, true)
        );
        assert!(!check("Host web\n User x\n").0);
        assert!(!check("Host *\n Port 2222\n").0);
        std::fs::write(&included, "IdentityFile ~/k\n").unwrap();
        assert!(!check("Include *.conf\n").0);
        std::fs::write(&included, "# nothing\n").unwrap();
        assert!(check("Include *.conf\n").0);
        assert!(
            !check("Include ~/x\n").0,
            "what is not understood is asked about"
        );
    }

    #[test]
    fn jumps_are_read() {
        let jump = |t: &str| Jump::parse(t);
        assert_eq!(
            jump("u@h:22"),
            Some(Jump {
                user: Some("u".into()),
                host: "h".into(),
                port: Some(22)
            })
        );
        assert_eq!(jump("[fe80::1]:2222").unwrap().port, Some(2222));
        assert_eq!(jump("fe80::1").unwrap().host, "fe80::1");
        assert_eq!(jump("h:x"), None);
        assert_eq!(jump(""), None);
        assert_eq!(jump("-oProxyCommand=x"), None);
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_the_parsers_panic(text in "\\PC{0,200}", lines in "[a-z%~ \n]{0,200}") {
            let _ = parse(&text, &me(), "h");
            let _ = parse(&lines, &me(), "h");
            let _ = Jump::parse(&text);
        }
    }
}
