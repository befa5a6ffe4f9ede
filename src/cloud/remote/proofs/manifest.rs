//! Every file on the instance against the manifest of its backup. Paths go there in the manifest's
//! order and answers come back in the same, so that nothing is kept but the lines of one batch.

use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::{Found, View, outcome, quoted};
use crate::backup::archive::manifest::Entries;
use crate::backup::archive::{Entry, EntryKind, Manifest, unescape};
use crate::cloud::remote::{archive, shell};
use crate::drill::proof::manifest::{expected, one_file, read};

/// Paths in one batch.
const BATCH: usize = 100;
/// Longest line of an answer, in bytes: sha256sum repeats a name, escaped.
const LINE: usize = 64 << 10;
/// Differences that are kept.
const KEPT: usize = 100;

pub async fn prove(view: &View<'_>) -> Result<Found, String> {
    let directory = view.directory()?;
    let made_up;
    let manifest: &Manifest = match (&view.own.manifest, view.is_control) {
        (Some(manifest), _) => manifest,
        (None, true) => {
            made_up = one_file()?;
            &made_up
        }
        (None, false) => {
            return Err("the backup has no manifest: there is nothing to compare with".into());
        }
    };
    let stream = archive::stream_name(view.inner, view.step);
    let target = view.target()?;
    let mut paths = Paths::new(manifest, stream.clone());
    let mut compare = Compare::new(manifest);
    let mut wrong: Option<String> = None;
    let mut session = shell::connect(view.inner, &target).await?;
    let program = program(directory)?;
    let fed = session
        .feed(
            &program,
            &mut paths,
            view.limit(),
            &mut |bytes| match compare.push(bytes) {
                Ok(()) => ControlFlow::Continue(()),
                Err(why) => {
                    wrong = Some(why);
                    ControlFlow::Break(())
                }
            },
        )
        .await;
    session.close().await;
    let ended = fed.map_err(|e| format!("{}: {e}", target.name))?;
    if let Some(why) = wrong {
        return Err(format!("what the instance answers makes no sense: {why}"));
    }
    let ran = shell::Ran {
        ended,
        ..shell::Ran::default()
    };
    ran.text(&format!("comparing {directory}"))?;
    let mut differences = compare.finish()?;
    if !view.is_control {
        differences.extend(added(view, directory, manifest).await?);
    }
    let end = manifest.end();
    if end.bytes == 0 {
        differences.push("the backup itself holds no data".into());
    }
    Ok(Found {
        outcome: outcome(differences.is_empty()),
        expected: expected(manifest),
        read: read(manifest, &differences),
        at: view.at(&target, directory),
    })
}

/// Things there that the manifest has not, told by their number.
async fn added(
    view: &View<'_>,
    directory: &str,
    manifest: &Manifest,
) -> Result<Option<String>, String> {
    let target = view.target()?;
    let calls = format!(
        "cd -- {} || exit 96\nn=$(find . -xdev -mindepth 1 -print0 | tr -dc '\\0' | wc -c)\n\
         echo $n\nexit $?",
        quoted(directory)?
    );
    let ran = view.run(&target, "", &calls, 100).await?;
    let text = ran.text(&format!("counting what is in {directory}"))?;
    let count: u64 = (text.trim().parse()).map_err(|_| "it could not be counted")?;
    let wanted = manifest.end().entries;
    Ok((count != wanted).then(|| format!("{count} things instead of {wanted}")))
}

/// Says of each batch: what each path is; mode, size and owners of those that are there; the hashes
/// of those that are files.
fn program(directory: &str) -> Result<String, String> {
    let batch = r#"k=
for p; do
  if [ -L "$p" ]; then k=${k}l; elif [ -f "$p" ]; then k=${k}f; elif [ -d "$p" ]; then k=${k}d
  elif [ -e "$p" ]; then k=${k}o; else k=${k}-; fi
done
echo "K $k"
for p; do shift; if [ -e "$p" ] || [ -L "$p" ]; then set -- "$@" "$p"; fi; done
[ $# -eq 0 ] || stat -c "S %a %s %u %g" -- "$@"
for p; do shift; if [ -f "$p" ] && [ ! -L "$p" ]; then set -- "$@" "$p"; fi; done
[ $# -eq 0 ] || sha256sum -- "$@"
echo E"#;
    Ok(format!(
        "LC_ALL=C; export LC_ALL\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH\n\
         cd -- {} || exit 96\n\
         echo \"U $(id -u)\"\n\
         exec xargs -0 -n {BATCH} sh -c {} sh\n",
        quoted(directory)?,
        quoted(batch)?
    ))
}

/// The paths of a manifest, each with a NUL after it.
struct Paths<'m> {
    entries: Entries<'m>,
    /// What a stream's file is called.
    stream: Option<String>,
    rest: Vec<u8>,
    at: usize,
}

impl<'m> Paths<'m> {
    fn new(manifest: &'m Manifest, stream: Option<String>) -> Self {
        Paths {
            entries: manifest.entries(),
            stream,
            rest: Vec::new(),
            at: 0,
        }
    }

    fn more(&mut self) -> io::Result<()> {
        self.rest.clear();
        self.at = 0;
        while self.rest.len() < 16 << 10 {
            let Some(entry) = self.entries.next() else {
                return Ok(());
            };
            let entry = entry.map_err(io::Error::other)?;
            self.rest.extend_from_slice(b"./");
            match (&self.stream, entry.kind) {
                (Some(name), EntryKind::Stream) => self.rest.extend_from_slice(name.as_bytes()),
                _ => {
                    let path = unescape(&entry.path).unwrap_or_default();
                    self.rest.extend_from_slice(&path);
                }
            }
            self.rest.push(0);
        }
        Ok(())
    }
}

impl AsyncRead for Paths<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.rest.len() {
            self.more()?;
        }
        let rest = self.rest.get(self.at..).unwrap_or_default();
        let piece = rest.get(..buffer.remaining()).unwrap_or(rest);
        buffer.put_slice(piece);
        self.at += piece.len();
        Poll::Ready(Ok(()))
    }
}

/// One path, as the instance sees it.
#[derive(Clone, Debug, Default)]
struct Row {
    kind: char,
    mode: u32,
    size: u64,
    owner: (u32, u32),
    hash: Option<String>,
}

/// Holds answers against entries, line by line. Pure.
struct Compare<'m> {
    entries: Entries<'m>,
    line: Vec<u8>,
    is_root: Option<bool>,
    rows: Vec<Row>,
    /// Rows of the batch that were described, and hashed, so far; `None`: between batches.
    batch: Option<(usize, usize)>,
    differences: Vec<String>,
    more: u64,
}

impl<'m> Compare<'m> {
    fn new(manifest: &'m Manifest) -> Self {
        Compare {
            entries: manifest.entries(),
            line: Vec::new(),
            is_root: None,
            rows: Vec::new(),
            batch: None,
            differences: Vec::new(),
            more: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() >= LINE {
                    return Err("a line is too long".into());
                }
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            self.take(&line)?;
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        let odd = || format!("`{}`", crate::shell::clean(line, 60));
        if self.is_root.is_none() {
            let id = line.strip_prefix("U ").ok_or_else(odd)?;
            self.is_root = Some(id == "0");
            return Ok(());
        }
        let Some((described, hashed)) = self.batch else {
            let kinds = line.strip_prefix("K ").ok_or_else(odd)?;
            if kinds.len() > BATCH || !kinds.chars().all(|c| "lfdo-".contains(c)) {
                return Err(odd());
            }
            let row = |kind| Row {
                kind,
                ..Row::default()
            };
            self.rows = kinds.chars().map(row).collect();
            self.batch = Some((0, 0));
            return Ok(());
        };
        let is_there = |row: &&mut Row| row.kind != '-';
        if let Some(row) = self.rows.iter_mut().filter(is_there).nth(described) {
            let words: Vec<&str> = line.split(' ').collect();
            let ["S", mode, size, uid, gid] = words.as_slice() else {
                return Err(odd());
            };
            let id = |text: &str| text.parse::<u32>().map_err(|_| odd());
            row.mode = u32::from_str_radix(mode, 8).map_err(|_| odd())?;
            row.size = size.parse().map_err(|_| odd())?;
            row.owner = (id(uid)?, id(gid)?);
            self.batch = Some((described + 1, hashed));
            return Ok(());
        }
        let is_file = |row: &&mut Row| row.kind == 'f';
        if let Some(row) = self.rows.iter_mut().filter(is_file).nth(hashed) {
            // A backslash says that the name is escaped.
            let hash = line
                .strip_prefix('\\')
                .unwrap_or(line)
                .get(..64)
                .ok_or_else(odd)?;
            if !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(odd());
            }
            row.hash = Some(hash.to_owned());
            self.batch = Some((described, hashed + 1));
            return Ok(());
        }
        if line != "E" {
            return Err(odd());
        }
        self.batch = None;
        for row in std::mem::take(&mut self.rows) {
            let entry = self
                .entries
                .next()
                .ok_or("it answers more than it was asked")?;
            let entry = entry.map_err(|e| e.to_string())?;
            if let Some(text) = difference(&entry, &row, self.is_root == Some(true)) {
                match self.differences.len() < KEPT {
                    true => self.differences.push(text),
                    false => self.more += 1,
                }
            }
        }
        Ok(())
    }

    /// All differences; an error if not everything was answered.
    fn finish(mut self) -> Result<Vec<String>, String> {
        if self.batch.is_some() || !self.line.is_empty() || self.entries.next().is_some() {
            return Err("the instance did not answer for every file".into());
        }
        if self.more > 0 {
            self.differences.push(format!("and {} more", self.more));
        }
        Ok(self.differences)
    }
}

/// How a thing differs from its entry. Of a link the length of its target is compared, of another
/// name for a file that there is a file.
fn difference(entry: &Entry, row: &Row, is_root: bool) -> Option<String> {
    let wanted = match entry.kind {
        EntryKind::File | EntryKind::Stream | EntryKind::Hardlink => 'f',
        EntryKind::Directory => 'd',
        EntryKind::Symlink => 'l',
    };
    let differs = |what: String| Some(format!("{}: {what}", entry.path));
    if row.kind == '-' {
        return differs("is missing".into());
    }
    if row.kind != wanted {
        return differs("is another kind of thing".into());
    }
    let link = entry.link.as_deref().and_then(unescape).unwrap_or_default();
    let size = match entry.kind {
        EntryKind::File | EntryKind::Stream => Some(entry.size),
        EntryKind::Symlink => Some(link.len() as u64),
        EntryKind::Directory | EntryKind::Hardlink => None,
    };
    if let Some(size) = size.filter(|size| *size != row.size) {
        return differs(format!("{} bytes instead of {size}", row.size));
    }
    if entry.sha256.is_some() && entry.sha256 != row.hash {
        return differs("its content is another".into());
    }
    if !matches!(entry.kind, EntryKind::File | EntryKind::Directory) {
        return None;
    }
    let bits = if is_root { 0o7777 } else { 0o777 };
    if entry.mode & bits != row.mode & bits {
        return differs(format!("mode {:o} instead of {:o}", row.mode, entry.mode));
    }
    let owner = (entry.uid, entry.gid);
    if is_root && owner != row.owner {
        let (uid, gid) = row.owner;
        return differs(format!(
            "owner {uid}:{gid} instead of {}:{}",
            owner.0, owner.1
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::archive::ManifestWriter;

    fn manifest(paths: &[&str]) -> Manifest {
        let mut writer = ManifestWriter::new();
        for path in paths {
            let mut entry = one_file().unwrap().entries().next().unwrap().unwrap();
            entry.path = (*path).into();
            writer.push(&entry).unwrap();
        }
        writer.finish(&[]).unwrap()
    }

    fn compared(said: &str) -> Result<Vec<String>, String> {
        let manifest = manifest(&["a", "b"]);
        let mut whole = None;
        for size in [1, 3, said.len().max(1)] {
            let mut compare = Compare::new(&manifest);
            let pushed = said
                .as_bytes()
                .chunks(size)
                .try_for_each(|p| compare.push(p));
            let result = pushed.and_then(|()| compare.finish());
            assert_eq!(*whole.get_or_insert_with(|| result.clone()), result);
        }
        whole.unwrap()
    }

    #[test]
    fn answers_are_held_against_entries_in_their_order() {
        let zeros = "0".repeat(64);
        let ones = "1".repeat(64);
        let stat = "S 644 1 0 0\n";
        let good = format!("U 0\nK ff\n{stat}{stat}{zeros}  ./a\n\\{zeros}  ./b\nE\n");
        assert_eq!(compared(&good), Ok(vec![]));
        let two = format!("U 0\nK f\n{stat}{zeros}  ./a\nE\nK f\n{stat}{zeros}  ./b\nE\n");
        assert_eq!(compared(&two), Ok(vec![]));
        let first = |said: String| compared(&said).unwrap().remove(0);
        let b = |hash: &str| format!("U 0\nK ff\n{stat}{stat}{zeros} a\n{hash} b\nE\n");
        assert_eq!(first(b(&ones)), "b: its content is another");
        assert_eq!(
            first(
                good.replace("K ff", "K f-")
                    .replacen(stat, "", 1)
                    .replace(&format!("\\{zeros}  ./b\n"), "")
            ),
            "b: is missing"
        );
        assert!(first(good.replacen("644", "600", 1)).contains("a: mode 600 instead of 644"));
        assert!(first(good.replacen(" 1 0 0", " 1 7 0", 1)).contains("owner 7:0"));
        assert_eq!(
            compared(&good.replace("U 0", "U 1000").replace("0 0\n", "7 7\n")),
            Ok(vec![])
        );
    }

    #[test]
    fn what_makes_no_sense_or_is_not_whole_is_no_answer() {
        let zeros = "0".repeat(64);
        let stat = "S 644 1 0 0\n";
        let good = format!("U 0\nK ff\n{stat}{stat}{zeros} a\n{zeros} b\nE\n");
        for cut in 0..good.len() {
            assert!(compared(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(compared(&format!("{good}K f\n{stat}{zeros}\nE\n")).is_err());
        assert!(compared(&good.replace("K ff", "K fx")).is_err());
        assert!(compared(&good.replacen("644", "abc", 1)).is_err());
        assert!(compared(&"x".repeat(LINE + 1)).is_err());
    }

    #[tokio::test]
    async fn paths_go_out_in_their_order() {
        use tokio::io::AsyncReadExt;
        let manifest = manifest(&["a", "d/é", "x\\\\y"]);
        let mut out = Vec::new();
        Paths::new(&manifest, None)
            .read_to_end(&mut out)
            .await
            .unwrap();
        assert_eq!(out, "./a\0./d/é\0./x\\y\0".as_bytes());
    }
}
