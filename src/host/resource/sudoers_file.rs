//! Reads sudoers and what it includes: which Defaults are set where, and which entries ask for
//! no password. Pure, and as forgiving as a reader must be that never decides who gets in.

use crate::host::snapshot::{FileKind, Seen, Snapshot};

pub const MAIN: &str = "/etc/sudoers";
pub const DROP_INS: &str = "/etc/sudoers.d/*";
const DIR: &str = "/etc/sudoers.d";

/// How many files are followed.
const FILES: usize = 200;

/// One `Defaults` setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultLine {
    pub at: Place,
    /// `Defaults:ann`, `Defaults@host`, `Defaults>root`, `Defaults!cmnd`: the sign and what
    /// follows it. `None`: for everyone.
    pub scope: Option<(char, String)>,
    pub name: String,
    pub value: Setting,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    On,
    /// `!name`
    Off,
    Is(String),
    /// `+=` and `-=`
    Plus(String),
    Minus(String),
}

/// Who may run something without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPassword {
    pub at: Place,
    /// The users of the entry, aliases resolved.
    pub users: Vec<String>,
}

/// A file and the first and last of the lines that an entry stands on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub line: usize,
    pub last: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// All that was read, in sudo's order, and what could not be seen.
#[derive(Debug, Default)]
pub struct Sudoers {
    pub defaults: Vec<DefaultLine>,
    pub no_password: Vec<NoPassword>,
    pub unseen: Vec<String>,
    aliases: Vec<(String, Vec<String>)>,
    /// Whether /etc/sudoers.d is included.
    pub has_dir: bool,
    files: usize,
}

impl Sudoers {
    pub fn of(snapshot: &Snapshot) -> Sudoers {
        let mut out = Sudoers::default();
        out.file(snapshot, MAIN);
        for at in 0..out.no_password.len() {
            let users = out.no_password.get(at).map(|n| n.users.clone());
            let resolved = out.resolve(users.unwrap_or_default());
            if let Some(entry) = out.no_password.get_mut(at) {
                entry.users = resolved;
            }
        }
        out
    }

    fn file(&mut self, snapshot: &Snapshot, path: &str) {
        self.files += 1;
        if self.files > FILES {
            return self.unseen.push(format!("{path}: too many includes"));
        }
        if !snapshot.files.contains_key(path) {
            return self.unseen.push(format!("{path}: was not looked at"));
        }
        match super::paths::text(snapshot, path) {
            Ok(text) => self.text(snapshot, path, text.unwrap_or_default()),
            Err(why) => self.unseen.push(why),
        }
    }

    fn text(&mut self, snapshot: &Snapshot, path: &str, text: &str) {
        for (line, last, entry) in entries(text) {
            let at = Place {
                path: path.to_owned(),
                line,
                last,
            };
            let entry = entry.trim();
            let (word, rest) = entry.split_once(char::is_whitespace).unwrap_or((entry, ""));
            match word {
                "@include" | "#include" => self.include(snapshot, rest),
                "@includedir" | "#includedir" => self.include_dir(snapshot, rest),
                "User_Alias" => self.alias(rest),
                "Host_Alias" | "Runas_Alias" | "Cmnd_Alias" | "Cmd_Alias" => {}
                _ if word.starts_with("Defaults") => self.setting(at, entry),
                _ => self.spec(at, entry),
            }
        }
    }

    fn include(&mut self, snapshot: &Snapshot, path: &str) {
        let path = unquote(path);
        let path = match path.strip_prefix('/') {
            Some(_) => path,
            None => format!("/etc/{path}"),
        };
        self.file(snapshot, &path);
    }

    /// Names with a dot, and backup files that end in `~`, are skipped, as sudo does.
    fn include_dir(&mut self, snapshot: &Snapshot, path: &str) {
        let path = unquote(path);
        if path.trim_end_matches('/') != DIR {
            return self.unseen.push(format!("{path}: was not looked at"));
        }
        self.has_dir = true;
        match snapshot.globs.get(DROP_INS) {
            Some(Seen::Yes(found)) => {
                for path in found {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    let file = snapshot.files.get(path).and_then(Seen::yes);
                    let directory = file.is_some_and(|f| f.kind == FileKind::Directory);
                    if !name.contains('.') && !name.ends_with('~') && !directory {
                        self.file(snapshot, path);
                    }
                }
            }
            Some(Seen::Absent) => {}
            Some(Seen::No(why)) => self.unseen.push(format!("{DIR}: {why}")),
            None => self.unseen.push(format!("{DIR}: was not looked at")),
        }
    }

    fn alias(&mut self, text: &str) {
        for one in split(text, ':') {
            if let Some((name, members)) = one.split_once('=') {
                let members = split(members, ',').into_iter().map(|m| unquote(&m));
                self.aliases
                    .push((name.trim().to_owned(), members.collect()));
            }
        }
    }

    fn resolve(&self, users: Vec<String>) -> Vec<String> {
        let mut out = Vec::new();
        let mut left = users;
        // Aliases may name aliases; the bound ends a circle.
        for _ in 0..8 {
            let mut next = Vec::new();
            for user in left {
                match self.aliases.iter().find(|(name, _)| *name == user) {
                    Some((_, members)) => next.extend(members.iter().cloned()),
                    None => out.push(user),
                }
            }
            left = next;
            left.truncate(1000);
        }
        out.extend(left);
        out
    }

    fn setting(&mut self, at: Place, entry: &str) {
        let rest = entry.strip_prefix("Defaults").unwrap_or(entry);
        let (scope, settings) = match rest.chars().next() {
            Some(sign @ (':' | '@' | '>' | '!')) => {
                let rest = rest.get(1..).unwrap_or_default().trim_start();
                let end = list_end(rest);
                let whom = rest.get(..end).unwrap_or_default().to_owned();
                (Some((sign, whom)), rest.get(end..).unwrap_or_default())
            }
            _ => (None, rest),
        };
        for setting in split(settings, ',') {
            let (name, value) = match setting.find('=') {
                Some(eq) => {
                    let before = setting.get(..eq).unwrap_or_default().trim_end();
                    let value = unquote(setting.get(eq + 1..).unwrap_or_default());
                    if let Some(name) = before.strip_suffix('+') {
                        (name, Setting::Plus(value))
                    } else if let Some(name) = before.strip_suffix('-') {
                        (name, Setting::Minus(value))
                    } else {
                        (before, Setting::Is(value))
                    }
                }
                None => {
                    let name = setting.trim_start_matches('!');
                    let off = (setting.len() - name.len()) % 2 == 1;
                    (name, if off { Setting::Off } else { Setting::On })
                }
            };
            let name = name.trim().to_owned();
            if !name.is_empty() {
                self.defaults.push(DefaultLine {
                    at: at.clone(),
                    scope: scope.clone(),
                    name,
                    value,
                });
            }
        }
    }

    fn spec(&mut self, at: Place, entry: &str) {
        if find_tag(entry, "NOPASSWD").is_none() {
            return;
        }
        let users = entry.get(..list_end(entry)).unwrap_or(entry);
        let users = split(users, ',').into_iter().map(|u| unquote(&u));
        self.no_password.push(NoPassword {
            at,
            users: users.collect(),
        });
    }
}

/// The places of the characters that stand neither between quotes nor behind a backslash, with
/// the character. Quotes themselves are left out.
fn bare(text: &str) -> Vec<(usize, char)> {
    let mut out = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted => out.push((at, c)),
            _ => {}
        }
    }
    out
}

/// The parts between bare separators, trimmed, without empty ones.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut out = Vec::new();
    let mut from = 0;
    let ends = bare(text).into_iter().filter(|(_, c)| *c == separator);
    for end in ends.map(|(at, _)| at).chain([text.len()]) {
        let part = text.get(from..end).unwrap_or_default().trim();
        if !part.is_empty() {
            out.push(part.to_owned());
        }
        from = end + separator.len_utf8();
    }
    out
}

/// Where a list of words ends that are separated by commas: at white space with no comma on
/// either side.
fn list_end(text: &str) -> usize {
    for (at, c) in bare(text) {
        if !c.is_whitespace() {
            continue;
        }
        let before = text.get(..at).unwrap_or_default().trim_end();
        let after = text.get(at..).unwrap_or_default().trim_start();
        let open = before.is_empty() || before.ends_with([',', '!']);
        if !open && !after.starts_with(',') {
            return at;
        }
    }
    text.len()
}

/// A word without its quotes and backslashes.
fn unquote(text: &str) -> String {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let mut out = String::new();
    let mut escaped = false;
    for c in inner.unwrap_or(text).chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(c);
        }
    }
    out
}

/// Where a tag such as `NOPASSWD:` stands: its beginning, and the end with the colon and the
/// white space behind it.
pub fn find_tag(text: &str, tag: &str) -> Option<(usize, usize)> {
    let bare: std::collections::BTreeSet<usize> = bare(text).into_iter().map(|(a, _)| a).collect();
    text.match_indices(tag).find_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        let after = text.get(at + tag.len()..)?;
        let colon = after.trim_start().strip_prefix(':')?;
        let own = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let end = text.len() - colon.trim_start().len();
        (own && bare.contains(&at)).then_some((at, end))
    })
}

/// A physical line without its comment. `#include`, `#includedir` and `#1000` (a user id) are
/// none.
fn uncommented(line: &str) -> &str {
    let start = line.trim_start();
    let word = start.split(char::is_whitespace).next();
    if matches!(word, Some("#include" | "#includedir")) {
        return line;
    }
    for (at, c) in bare(line) {
        if c != '#' {
            continue;
        }
        let rest = line.get(at + 1..).unwrap_or_default();
        let before = line.get(..at).unwrap_or_default();
        let word =
            before.is_empty() || before.ends_with([' ', '\t', ',', '%', '!', '(', ':', '>', '=']);
        if !(word && rest.starts_with(|c: char| c.is_ascii_digit())) {
            return before;
        }
    }
    line
}

/// The entries of a text, each with its first and last line, from 1. A line that ends in a
/// backslash goes on.
fn entries(text: &str) -> Vec<(usize, usize, String)> {
    let mut out = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut last = 0;
    for (at, line) in text.lines().enumerate() {
        last = at + 1;
        let line = uncommented(line);
        let (first, mut entry) = open.take().unwrap_or((last, String::new()));
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            entry.push_str(line.get(..line.len() - 1).unwrap_or_default());
            entry.push(' ');
            open = Some((first, entry));
            continue;
        }
        entry.push_str(line);
        if !entry.trim().is_empty() {
            out.push((first, last, entry));
        }
    }
    if let Some((first, entry)) = open.filter(|(_, e)| !e.trim().is_empty()) {
        out.push((first, last, entry));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::paths::tests::snapshot;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Sudoers {
        Sudoers::of(&snapshot(&[(MAIN, text)], &[DROP_INS]))
    }

    fn default(text: &str) -> Vec<(Option<String>, String, Setting)> {
        let scope = |s: Option<(char, String)>| s.map(|(c, s)| format!("{c}{s}"));
        read(text)
            .defaults
            .into_iter()
            .map(|d| (scope(d.scope), d.name, d.value))
            .collect()
    }

    #[test]
    fn defaults_in_all_their_forms() {
        let is = |v: &str| Setting::Is(v.into());
        assert_eq!(
            default("Defaults use_pty, !lecture, logfile=\"/var/log/a, b.log\" # why\n"),
            [
                (None, "use_pty".into(), Setting::On),
                (None, "lecture".into(), Setting::Off),
                (None, "logfile".into(), is("/var/log/a, b.log")),
            ]
        );
        assert_eq!(
            default(
                "Defaults:ann, bob !authenticate\nDefaults>root !x\nDefaults!/bin/ls, PAGERS noexec\nDefaults@h y\n"
            ),
            [
                (
                    Some(":ann, bob".into()),
                    "authenticate".into(),
                    Setting::Off
                ),
                (Some(">root".into()), "x".into(), Setting::Off),
                (
                    Some("!/bin/ls, PAGERS".into()),
                    "noexec".into(),
                    Setting::On
                ),
                (Some("@h".into()), "y".into(), Setting::On),
            ]
        );
        assert_eq!(
            default(
                "Defaults env_keep += \"A B\", \\\n  env_keep-=C, timestamp_timeout = 5, !!z\n"
            ),
            [
                (None, "env_keep".into(), Setting::Plus("A B".into())),
                (None, "env_keep".into(), Setting::Minus("C".into())),
                (None, "timestamp_timeout".into(), is("5")),
                (None, "z".into(), Setting::On),
            ]
        );
        assert_eq!(default("# Defaults use_pty\n"), []);
    }

    #[test]
    fn entries_without_a_password() {
        let users = |text: &str| {
            read(text)
                .no_password
                .into_iter()
                .map(|n| n.users)
                .collect::<Vec<_>>()
        };
        assert_eq!(users("ann ALL=(ALL:ALL) NOPASSWD: ALL\n"), [["ann"]]);
        assert_eq!(
            users("%wheel, #1000 , bob ALL=(ALL) SETENV: NOPASSWD :ALL, PASSWD: /bin/ls\n"),
            [["%wheel", "#1000", "bob"]]
        );
        assert_eq!(users("a\\ b ALL = NOPASSWD:ALL\n"), [["a b"]]);
        assert_eq!(
            users("User_Alias OPS = ann, bob : X = cy\nOPS ALL = \\\n NOPASSWD: ALL\n"),
            [["ann", "bob"]]
        );
        for none in [
            "# ann ALL = NOPASSWD: ALL\n",
            "ann ALL = ALL # NOPASSWD: ALL\n",
            "ann ALL = /bin/echo \"NOPASSWD: x\"\n",
            "Cmnd_Alias NOPASSWD_X = /bin/ls\n",
            "ann ALL = PASSWD: ALL\n",
        ] {
            assert!(users(none).is_empty(), "{none}");
        }
        let place = read("\nann ALL = \\\n  NOPASSWD: ALL\n")
            .no_password
            .remove(0)
            .at;
        assert_eq!((place.line, place.last), (2, 3));
    }

    #[test]
    fn includes_are_followed_as_sudo_does() {
        let s = snapshot(
            &[
                (
                    MAIN,
                    "Defaults a\n#includedir\t /etc/sudoers.d\nDefaults z\n#include /etc/sudoers.local\n@includedir /etc/more.d\n",
                ),
                ("/etc/sudoers.d/10-x", "Defaults b\n"),
                ("/etc/sudoers.d/20.conf", "Defaults no\n"),
                ("/etc/sudoers.d/30~", "Defaults no\n"),
            ],
            &[DROP_INS],
        );
        let read = Sudoers::of(&s);
        let names: Vec<_> = read.defaults.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "z"]);
        assert!(read.has_dir);
        assert_eq!(
            read.unseen,
            [
                "/etc/sudoers.local: was not looked at",
                "/etc/more.d: was not looked at"
            ]
        );
    }

    #[test]
    fn includes_and_aliases_in_a_circle_end() {
        assert!(
            !read("@include /etc/sudoers\n@include /etc/sudoers\n")
                .unseen
                .is_empty()
        );
        let read = read("User_Alias A = B, B\nUser_Alias B = A, A\nA ALL = NOPASSWD: ALL\n");
        assert!(!read.no_password[0].users.is_empty());
    }

    proptest! {
        #[test]
        fn hostile_text_does_no_harm(text in "((Defaults|@include|#includedir|User_Alias|NOPASSWD:|x)[ :=!>,\"\\\\#]{0,4}[a/*]{0,2}(\n|\\\\\n)?|\\PC){0,16}") {
            read(&text);
        }

        #[test]
        fn a_list_ends_within_its_text(text in "\\PC{0,20}") {
            prop_assert!(text.get(..list_end(&text)).is_some());
            for part in split(&text, ',') { unquote(&part); }
        }
    }
}
