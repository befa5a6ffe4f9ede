//! Files: owner, group, mode, kind, link target, and text where it is wanted. Five forks in all
//! (six where one of them is a symbolic link), whatever the number of files:
//! `readlink` (where needed), `stat`, and `tar | base64` in a subshell.
//!
//! Text travels in a tar archive, so that any byte, a missing newline at the end and odd names
//! arrive as they are, and metadata and text cannot be confused. Nothing but regular files of at
//! most [`TEXT_MAX`] bytes is opened: no pipe, no device. Files that hold password hashes or
//! private keys are never read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Queries;
use crate::host::snapshot::{FileKind, FileState, Seen, Snapshot};
use crate::shell::{Frame, NulInText, quote};

/// The largest file whose text is brought over, in bytes.
pub const TEXT_MAX: u64 = 256 * 1024;
/// How much text is brought over in all, in bytes.
const TEXTS_MAX: u64 = 2_000_000;
/// How many names one glob may find.
const GLOB_MAX: usize = 2000;
/// The longest link chain that [`followed`] goes along.
const HOPS: usize = 8;

/// What `stat -c` is told. The name comes last, and nothing before it can hold a `:`.
pub(super) const STAT: &str = "%a:%u:%g:%f:%s:%U:%G:%n";

/// The same without names, which cost stat more than all the rest: the accounts probe says them.
const STAT_NUMBERS: &str = "%a:%u:%g:%f:%s:::%n";

/// The sh that sorts one path: there (wanted with text or not), a link, absent, or hidden (an
/// ancestor cannot be searched).
const SEE: &str = r#"files_see() {
  if [ -L "$1" ]; then f_links="$f_links$1$nl"; [ ! -e "$1" ] || f_live="$f_live$1$nl"
  elif [ ! -e "$1" ]; then
    _d=${1%/*}
    while [ -n "$_d" ] && [ ! -e "$_d" ]; do _d=${_d%/*}; done
    if [ -d "${_d:-/}" ] && [ ! -x "${_d:-/}" ]; then f_hidden="$f_hidden$1$nl"
    else f_absent="$f_absent$1$nl"; fi
    return
  fi
  if [ "$2" = t ]; then f_text="$f_text$1$nl"; else f_meta="$f_meta$1$nl"; fi
}
files_glob() {
  _n=0 _s=0 _o=
  if [ -d "$2" ] && { [ ! -r "$2" ] || [ ! -x "$2" ]; }; then _s=1; fi
  if [ "$5" = deep ] && [ ! -O / ]; then _s=1; fi
  IFS=; set +f
  for _p in $3; do
    [ -e "$_p" ] || [ -L "$_p" ] || continue
    case $_p in *"$nl"*) _s=2; continue;; esac
    _n=$((_n+1))
    if [ "$_n" -gt @GLOB_MAX@ ]; then _s=3; break; fi
    _o="$_o$_p$nl"; files_see "$_p" "$4"
  done
  IFS=$nl; set -f
  frame section "files.glob.$1" "$_s" "$_o"
}
"#;

/// What follows once every path is sorted. Programs are named by their path, because busybox's
/// sh would run its own, whose tar knows too little.
const TELL: &str = r#"_r=
[ -z "$f_live" ] || _r=$(/bin/readlink -f -- $f_live 2>/dev/null)
frame section files.absent 0 "$f_absent"
frame section files.hidden 0 "$f_hidden"
frame section files.links 0 "$f_live"
frame section files.targets 0 "$_r"
_o=$(/usr/bin/stat -c '@STAT@' -- $f_text $_r / $f_meta $f_links 2>/dev/null)
frame section files.stat 0 "$_o"
_c= _t=0
for _l in $_o; do
  _p=/${_l#*:/}
  [ "$_p" != / ] || break
  _f=${_l#*:*:*:}; _z=${_f#*:}; _f=${_f%%:*}; _z=${_z%%:*}
  case $_p in @SECRET@) continue;; esac
  case $_f in 8???) ;; *) continue;; esac
  [ "$_z" -le @TEXT_MAX@ ] && [ -r "$_p" ] || continue
  _t=$((_t+_z+1536))
  [ "$_t" -le @TEXTS_MAX@ ] || break
  _c="$_c$_p$nl"
done
_o=
[ -z "$_c$f_links" ] || _o=$(/bin/tar -cPf - -b1 --no-recursion --hard-dereference --numeric-owner --format=gnu -- $_c $f_links 2>/dev/null | /usr/bin/base64 -w0)
frame section files.tar 0 "$_o"
set +f
IFS=' 	
'
"#;

/// Paths whose text stays on the host whatever a rule asks, as sh patterns.
const SECRET: &[&str] = &[
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/security/opasswd*",
    "/etc/ssh/ssh_host_*_key",
];

/// Writes what observes all files of `q`; `None` where there is none. `-O` in a test is not
/// POSIX, but dash, bash and busybox have it.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    if q.files.is_empty() && q.globs.is_empty() {
        return Ok(None);
    }
    let see = SEE.replace("@GLOB_MAX@", &GLOB_MAX.to_string());
    let mut out = format!(
        "nl='\n'\nf_text= f_meta= f_links= f_live= f_absent= f_hidden=\n{see}IFS=$nl; set -f\n"
    );
    for (letter, wanted) in [("t", true), ("m", false)] {
        let mut words = String::new();
        for (path, _) in q.files.iter().filter(|(p, t)| **t == wanted && plain(p)) {
            words.push(' ');
            words.push_str(&quote(path)?);
        }
        if !words.is_empty() {
            out.push_str(&format!(
                "for _p in{words}; do files_see \"$_p\" {letter}; done\n"
            ));
        }
    }
    for (at, (pattern, wanted)) in q.globs.iter().enumerate() {
        if !plain(pattern) {
            continue;
        }
        let (root, deep) = root_of(pattern);
        out.push_str(&format!(
            "files_glob {at} {} {} {} {}\n",
            quote(root)?,
            quote(pattern)?,
            if *wanted { "t" } else { "m" },
            if deep { "deep" } else { "flat" },
        ));
    }
    out.push_str(
        &TELL
            .replace("@STAT@", if q.accounts { STAT_NUMBERS } else { STAT })
            .replace("@SECRET@", &SECRET.join("|"))
            .replace("@TEXT_MAX@", &TEXT_MAX.to_string())
            .replace("@TEXTS_MAX@", &TEXTS_MAX.to_string()),
    );
    Ok(Some(out))
}

/// Whether the path can be asked for: absolute and on one line.
fn plain(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\n')
}

/// Whether a path is a pattern.
pub fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The directory that a glob looks in first, and whether it looks further down.
fn root_of(pattern: &str) -> (&str, bool) {
    let wild = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let (before, after) = pattern.split_at(wild);
    let root = before.rfind('/').and_then(|at| before.get(..at));
    let root = root.filter(|r| !r.is_empty()).unwrap_or("/");
    (root, after.contains('/'))
}

/// Reads what the host said into `files` and `globs`. Whatever was asked for and not answered
/// becomes `Seen::No`. The target of a link that was asked for stands in `files` under its own
/// path too, and the link's `content` is its target's.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    let said = Said::from(frames);
    let mut wanted: BTreeMap<&str, bool> = q.files.iter().map(|(p, t)| (p.as_str(), *t)).collect();
    for (at, (pattern, text)) in q.globs.iter().enumerate() {
        let found = said.glob(at, pattern);
        if let Seen::Yes(names) = &found {
            for name in names {
                *wanted.entry(name).or_default() |= *text;
            }
        }
        let found = match found {
            Seen::Yes(names) => Seen::Yes(names.into_iter().map(str::to_owned).collect()),
            Seen::Absent => Seen::Absent,
            Seen::No(why) => Seen::No(why),
        };
        out.globs.insert(pattern.clone(), found);
    }
    for (path, text) in wanted {
        let state = said.state(path, text);
        if let Seen::Yes(state) = &state
            && state.kind == FileKind::Link
            && let Some(target) = said.targets.get(path)
            && !out.files.contains_key(*target)
            && !q.files.contains_key(*target)
        {
            out.files
                .insert((*target).to_owned(), said.state(target, text));
        }
        out.files.insert(path.to_owned(), state);
    }
}

/// The frames of this probe, cut into lines. Later frames of one name are not believed.
struct Said<'a> {
    globs: BTreeMap<&'a str, (i32, Vec<&'a str>)>,
    absent: BTreeSet<&'a str>,
    hidden: BTreeSet<&'a str>,
    /// Where each link ends.
    targets: BTreeMap<&'a str, &'a str>,
    states: BTreeMap<&'a str, FileState>,
    /// Whether the host got as far as asking for states.
    complete: bool,
    tar: Archive,
}

#[derive(Default)]
struct Archive {
    texts: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, String>,
}

impl<'a> Said<'a> {
    fn from(frames: &'a [Frame]) -> Self {
        let mut sections: BTreeMap<&str, &Frame> = BTreeMap::new();
        for frame in frames {
            if frame.kind == "section"
                && let Some(name) = frame.name.strip_prefix("files.")
            {
                sections.entry(name).or_insert(frame);
            }
        }
        let lines = |name: &str| sections.get(name).map(|f| lines_of(f)).unwrap_or_default();
        let globs = sections
            .iter()
            .filter_map(|(name, f)| Some((name.strip_prefix("glob.")?, (f.status, lines_of(f)))))
            .collect();
        let (links, ends) = (lines("links"), lines("targets"));
        let targets = if links.len() == ends.len() {
            links.into_iter().zip(ends).collect()
        } else {
            BTreeMap::new()
        };
        let (users, groups) = super::accounts::names(frames);
        let mut states: BTreeMap<&str, FileState> =
            lines("stat").into_iter().filter_map(stat_line).collect();
        if users.is_empty() || groups.is_empty() {
            // A number where a name is demanded would be a false failure.
            states.retain(|_, state| !state.owner.is_empty());
        }
        for state in states.values_mut() {
            name(&mut state.owner, &users, state.uid);
            name(&mut state.group, &groups, state.gid);
        }
        Said {
            globs,
            absent: lines("absent").into_iter().collect(),
            hidden: lines("hidden").into_iter().collect(),
            targets,
            states,
            complete: sections.contains_key("stat"),
            tar: sections
                .get("tar")
                .map(|f| unpack(&f.data))
                .unwrap_or_default(),
        }
    }

    fn glob(&self, at: usize, pattern: &str) -> Seen<Vec<&'a str>> {
        if !plain(pattern) {
            return Seen::No("a pattern must be absolute and on one line".into());
        }
        let Some((status, names)) = self.globs.get(at.to_string().as_str()) else {
            return Seen::No("the host did not answer".into());
        };
        match status {
            0 => {}
            1 => return Seen::No("a directory on the way cannot be read by this account".into()),
            2 => return Seen::No("it finds a name that holds a newline".into()),
            3 => return Seen::No(format!("it finds more than {GLOB_MAX} names")),
            _ => return Seen::No("the host could not say".into()),
        }
        if names.len() > GLOB_MAX || !names.iter().all(|name| glob_match(pattern, name)) {
            return Seen::No("the host answered with names that the pattern does not match".into());
        }
        let sorted: BTreeSet<&str> = names.iter().copied().collect();
        Seen::Yes(sorted.into_iter().collect())
    }

    fn state(&self, path: &str, text: bool) -> Seen<FileState> {
        if !plain(path) {
            return Seen::No("a path must be absolute and on one line".into());
        }
        if self.hidden.contains(path) {
            return Seen::No("a directory on the way cannot be searched by this account".into());
        }
        if self.absent.contains(path) {
            return Seen::Absent;
        }
        let Some(state) = self.states.get(path) else {
            let why = if self.complete {
                "the host could not say"
            } else {
                "the host did not answer"
            };
            return Seen::No(why.into());
        };
        let mut state = state.clone();
        if state.kind == FileKind::Link {
            state.link = self.tar.links.get(path).cloned();
        }
        if text {
            state.content = self.content(path, &state);
        }
        Seen::Yes(state)
    }

    fn content(&self, path: &str, state: &FileState) -> Seen<String> {
        let bytes = match state.kind {
            FileKind::Link => {
                let Some(target) = self.targets.get(path) else {
                    return Seen::No("the link points to nothing that is there".into());
                };
                return match (*target, self.states.get(target)) {
                    // What a masked drop-in points to: it reads as empty.
                    ("/dev/null", _) => Seen::Yes(String::new()),
                    (_, Some(end)) if end.kind != FileKind::Link => self.content(target, end),
                    _ => Seen::No("the end of the link could not be seen".into()),
                };
            }
            FileKind::Directory => return Seen::No("is a directory".into()),
            FileKind::Other => return Seen::No("is not a regular file".into()),
            FileKind::File => self.tar.texts.get(path),
        };
        let Some(bytes) = bytes else {
            return Seen::No(match state.size {
                size if size > TEXT_MAX => format!("is larger than {} KiB", TEXT_MAX / 1024),
                _ if SECRET.iter().any(|s| glob_match(s, path)) => {
                    "holds secrets, and is never read".into()
                }
                _ => "could not be read".into(),
            });
        };
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Seen::Yes(text.to_owned()),
            _ => Seen::No("is not text in UTF-8".into()),
        }
    }
}

fn lines_of(frame: &Frame) -> Vec<&str> {
    // A name that is not UTF-8 cannot have been asked for; such a line is dropped, and what
    // needed it is then not answered.
    frame
        .data
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| std::str::from_utf8(l).unwrap_or("?"))
        .collect()
}

/// Gives a name to what stat only said the number of.
fn name(name: &mut String, names: &BTreeMap<u32, String>, id: u32) {
    if name.is_empty() {
        *name = names.get(&id).cloned().unwrap_or_else(|| id.to_string());
    }
}

/// Reads one line of `stat -c` [`STAT`].
pub(super) fn stat_line(line: &str) -> Option<(&str, FileState)> {
    let mut words = line.splitn(8, ':');
    let mut word = || words.next();
    let mode = u32::from_str_radix(word()?, 8).ok()?;
    let (uid, gid) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let raw = u32::from_str_radix(word()?, 16).ok()?;
    let size = word()?.parse().ok()?;
    let (owner, group, name) = (word()?, word()?, word()?);
    if !name.starts_with('/') {
        return None;
    }
    let named = |name: &str, id: u32| match name {
        "UNKNOWN" => id.to_string(),
        name => name.to_owned(),
    };
    let state = FileState {
        kind: match raw & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            0o120_000 => FileKind::Link,
            _ => FileKind::Other,
        },
        mode,
        uid,
        gid,
        owner: named(owner, uid),
        group: named(group, gid),
        size,
        link: None,
        content: Seen::default(),
    };
    Some((name, state))
}

/// Unpacks the archive. What cannot be read is left out.
fn unpack(data: &[u8]) -> Archive {
    let mut out = Archive::default();
    let Ok(bytes) = STANDARD.decode(data.trim_ascii()) else {
        return out;
    };
    let mut archive = tar::Archive::new(bytes.as_slice());
    let Ok(entries) = archive.entries() else {
        return out;
    };
    for entry in entries {
        let Ok(mut entry) = entry else { break };
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else {
            continue;
        };
        let kind = entry.header().entry_type();
        if kind.is_symlink() {
            if let Some(target) = entry.link_name_bytes() {
                let target = String::from_utf8_lossy(&target).into_owned();
                out.links.entry(name).or_insert(target);
            }
        } else if kind == tar::EntryType::Regular && entry.size() <= TEXT_MAX {
            let mut text = Vec::new();
            let whole = (&mut entry).take(TEXT_MAX).read_to_end(&mut text);
            if whole.is_ok_and(|n| n as u64 == entry.size()) {
                out.texts.entry(name).or_insert(text);
            }
        }
    }
    out
}

/// What stands at a path once links are followed: its own path, and its state. Only what was
/// observed can be followed: a link's end stands in the snapshot, a link on the way may not.
pub fn followed<'s>(snapshot: &'s Snapshot, path: &str) -> (String, Seen<&'s FileState>) {
    let mut path = path.to_owned();
    for _ in 0..HOPS {
        let Some(seen) = snapshot.files.get(&path) else {
            return (
                path,
                Seen::No("the end of the link was not observed".into()),
            );
        };
        let Seen::Yes(state) = seen else {
            return (path, seen.as_ref());
        };
        if state.kind != FileKind::Link {
            return (path, Seen::Yes(state));
        }
        let Some(target) = &state.link else {
            return (path, Seen::No("the link could not be read".into()));
        };
        path = join(&path, target);
    }
    (path, Seen::No("links go round in a circle".into()))
}

/// Where a link at `path` points, by its text alone.
fn join(path: &str, target: &str) -> String {
    let base = if target.starts_with('/') {
        ""
    } else {
        path.rsplit_once('/').map(|(dir, _)| dir).unwrap_or("")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether an sh pattern (`*`, `?`, `[…]`) matches the whole of a path. As in sh, none of them
/// matches a `/`, and a dot at the beginning of a name must be written.
pub fn glob_match(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut names) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(p), Some(n)) => {
                if n.starts_with('.') && !p.starts_with('.') {
                    return false;
                }
                let (p, n): (Vec<char>, Vec<char>) = (p.chars().collect(), n.chars().collect());
                if !name_match(&p, &n) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// One part of a path. Goes back to the last `*` only, so the time is bounded by the product of
/// the lengths.
fn name_match(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => bracket(pattern, p, name.get(n).copied()),
            Some(c) => (name.get(n) == Some(c)).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                n += 1;
            }
            (None, Some((at, from))) => {
                star = Some((at, from + 1));
                p = at + 1;
                n = from + 1;
            }
            (None, None) => return false,
        }
    }
    pattern
        .get(p..)
        .is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

/// Matches one character against `[…]` at `at`: where the pattern goes on, if it does match.
/// A bracket that is not closed is a plain `[`.
fn bracket(pattern: &[char], at: usize, c: Option<char>) -> Option<usize> {
    let c = c?;
    let negated = matches!(pattern.get(at + 1), Some('!' | '^'));
    let first = at + 1 + usize::from(negated);
    let close = (first + 1..pattern.len()).find(|i| pattern.get(*i) == Some(&']'));
    let Some(close) = close else {
        return (c == '[').then_some(at + 1);
    };
    let mut i = first;
    let mut inside = false;
    while i < close {
        let low = *pattern.get(i)?;
        match (pattern.get(i + 1), pattern.get(i + 2)) {
            (Some('-'), Some(high)) if i + 2 < close => {
                inside |= low <= c && c <= *high;
                i += 3;
            }
            _ => {
                inside |= low == c;
                i += 1;
            }
        }
    }
    (inside != negated).then_some(close + 1)
}

#[cfg(test)]
mod tests;
