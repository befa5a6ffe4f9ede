//! A backup policy: exactly one kind for each thing, names that exist, schedules that can be met.

use std::collections::BTreeSet;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use croner::Cron;
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::super::diagnostic::{Diagnostic, Source, nearest};
use super::super::documents::Document;
use super::super::playbook::Span;
use super::super::spans::{Entry, Node};
use super::some;

/// What names a source may have kinds of.
pub(super) const SOURCE_KINDS: &[&str] = &["directories", "postgresql", "git", "command"];

/// Checks a policy's tree.
pub(in super::super) fn policy(document: &Document, found: &mut Vec<Diagnostic>) {
    let mut check = Check { document, found };
    let root = &document.root;
    check.recipients(root);
    check.signers(root);
    let stores: BTreeSet<&str> = root.get("stores").map_or_else(BTreeSet::new, names);
    for entry in root.get("stores").map(Node::entries).unwrap_or_default() {
        check.store(entry);
    }
    if let Some(entry) = root.entry("stores")
        && entry.value.entries().is_empty()
    {
        check
            .error("empty-policy", &entry.key_span, "there is no store")
            .help = Some("name at least one place that holds backups".into());
    }
    let zone = check.zone(root);
    let mut seen: Vec<(&str, &Range<usize>)> = Vec::new();
    let sources = root.get("sources").map(Node::items).unwrap_or_default();
    if let (Some(entry), true) = (root.entry("sources"), sources.is_empty()) {
        let error = check.error("empty-policy", &entry.key_span, "nothing is backed up");
        error.help = Some("add a source: directories, postgresql, git or command".into());
    }
    for source in sources {
        if let Some((name, span)) = source.text_at("source") {
            check.name("source", name, span);
            check.unique("source", &mut seen, name, span);
        }
        check.source(source, root, &stores, &zone);
    }
    for notify in root.get("notify").map(Node::items).unwrap_or_default() {
        check.notify(notify);
    }
}

/// Secrets that stand where none belongs are not shown again: not by their own diagnostic, and not
/// by that of a neighbour on the same line.
pub(in super::super) fn hide_secrets(document: &mut Document, found: &mut [Diagnostic]) {
    let mut secret: Vec<Range<usize>> = Vec::new();
    document.root.each_text("", &mut |key, node| {
        let text = node.text().unwrap_or_default();
        let in_url = key == "http" && authority(text).contains('@');
        if is_private_key(text) || in_url || (key.ends_with("_env") && !is_variable(text)) {
            secret.push(node.span.clone());
        }
    });
    if secret.is_empty() {
        return;
    }
    let mut text = document.source.text.clone();
    for span in secret {
        if let Some(hidden) = text.get(span.clone()) {
            let crosses: String = hidden
                .chars()
                .map(|c| if c == '\n' { c } else { 'x' })
                .collect();
            // Spans are of bytes: a character of several becomes as many crosses.
            let missing = hidden.len() - crosses.len();
            text.replace_range(span, &(crosses + &"x".repeat(missing)));
        }
    }
    let name = document.source.name.clone();
    let hidden = Arc::new(Source { name, text });
    let before = std::mem::replace(&mut document.source, Arc::clone(&hidden));
    for diagnostic in found {
        let related = diagnostic.related.iter_mut().map(|(place, _)| place);
        for place in diagnostic.place.iter_mut().chain(related) {
            if place.source == before {
                place.source = Arc::clone(&hidden);
            }
        }
    }
}

fn is_private_key(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    upper.contains("AGE-SECRET-KEY")
        || upper.contains("AGE-PLUGIN-")
        || upper.contains("PRIVATE KEY")
}

/// Whether it is a name for an environment variable.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn names(node: &Node) -> BTreeSet<&str> {
    node.entries().iter().map(|e| e.key.as_str()).collect()
}

/// Appends to what is wrong with one document. Shared with the drill's check.
pub(super) struct Check<'a> {
    pub document: &'a Document,
    pub found: &'a mut Vec<Diagnostic>,
}

impl Check<'_> {
    pub fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = self.document.place(span);
        self.push(Diagnostic::error(code, place, message))
    }

    pub fn warning(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = self.document.place(span);
        self.push(Diagnostic::warning(code, place, message))
    }

    fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.found.push(diagnostic);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Exactly one of these keys; which one.
    pub fn one_of<'k>(&mut self, what: &str, node: &Node, kinds: &[&'k str]) -> Option<&'k str> {
        let there: Vec<(&'k str, &Entry)> = kinds
            .iter()
            .filter_map(|kind| node.entry(kind).map(|entry| (*kind, entry)))
            .filter(|(_, entry)| !entry.value.is_null())
            .collect();
        match there.as_slice() {
            [(kind, _)] => Some(kind),
            [] => {
                let message = format!("{what} says nothing of its kind");
                let help = format!("add one of: {}", kinds.join(", "));
                self.error("no-kind", &node.head(), message).help = Some(help);
                None
            }
            [(first, one), (second, other), ..] => {
                let place = self.document.place(&one.key_span);
                let message = format!("{what} is both `{first}` and `{second}`");
                let error = self.error("two-kinds", &other.key_span, message);
                error.related.push((place, "first here".into()));
                error.help = Some("make two of it, each with one kind".into());
                None
            }
        }
    }

    /// Names become parts of file names.
    pub fn name(&mut self, what: &str, name: &str, span: &Range<usize>) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty()
            || name.len() > 64
            || !name.chars().all(fits)
            || name.starts_with(['.', '-'])
        {
            let message = format!("`{name}` is no name for a {what}");
            let error = self.error("bad-name", span, message);
            error.help = Some(
                "1 to 64 letters (a-z, A-Z), digits, `.`, `_` and `-`; the first one is a letter, a digit or `_`"
                    .into(),
            );
        }
    }

    pub fn unique<'n>(
        &mut self,
        what: &str,
        seen: &mut Vec<(&'n str, &'n Range<usize>)>,
        name: &'n str,
        span: &'n Range<usize>,
    ) {
        match seen.iter().find(|(other, _)| *other == name) {
            Some((_, first)) => {
                let place = self.document.place(first);
                let error = self.error("twice", span, format!("two {what}s are called `{name}`"));
                error.label = "here again".into();
                error.related.push((place, "first here".into()));
            }
            None => seen.push((name, span)),
        }
    }

    /// A name that must be one of those that there are.
    pub fn known<'n>(
        &mut self,
        what: &str,
        name: &str,
        span: &Range<usize>,
        there: impl Iterator<Item = &'n str> + Clone,
    ) -> bool {
        if there.clone().any(|other| other == name) {
            return true;
        }
        let help = match nearest(name, there.clone()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("there are: {}", some(there)),
        };
        self.error("unknown-name", span, format!("there is no {what} `{name}`"))
            .help = Some(help);
        false
    }

    pub fn absolute(&mut self, what: &str, path: &str, span: &Range<usize>) {
        if !path.starts_with('/') {
            let message = format!("{what} must be an absolute path, and `{path}` is none");
            self.error("relative-path", span, message);
        }
    }

    /// The name of an environment variable, and not what ought to be in it.
    fn variable(&mut self, key: &str, node: &Node) {
        let Some((name, span)) = node.text_at(key) else {
            return;
        };
        if !is_variable(name) {
            // What stands there may be the secret itself: it is not repeated.
            let message =
                format!("`{key}` is the name of an environment variable, and this is none");
            let error = self.error("bad-variable", span, message);
            error.help = Some(
                "put the secret into an environment variable and its name here, e.g. SEAWALL_WEBHOOK; if this was the secret, change it"
                    .into(),
            );
        }
    }

    pub fn notify(&mut self, node: &Node) {
        self.variable("url_env", node);
    }

    fn recipients(&mut self, root: &Node) {
        let list = root.texts_at("recipients");
        for (recipient, span) in &list {
            if let Err((message, help)) = recipient_form(recipient) {
                self.error("bad-recipient", span, message).help = Some(help.into());
            }
        }
        self.variable("passphrase_env", root);
        let passphrase = root.entry("passphrase_env");
        match (list.is_empty(), passphrase) {
            (true, None) => {
                let message = "nobody could open these backups: there are no recipients";
                self.error("no-recipients", &root.head(), message).help = Some(
                    "add `recipients: [age1…]` (public keys), or `passphrase_env: NAME`".into(),
                );
            }
            (false, Some(entry)) => {
                let message = "age does not let a passphrase stand beside recipients";
                self.error("two-kinds", &entry.key_span, message).help =
                    Some("take `passphrase_env` or `recipients` away".into());
            }
            _ => {}
        }
    }

    fn signers(&mut self, root: &Node) {
        for (line, span) in root.texts_at("signers") {
            let mut words = line.split_whitespace();
            let kind = words.next().unwrap_or_default();
            let body = words.next().unwrap_or_default();
            if line.contains("PRIVATE KEY")
                || !(kind.contains("ssh-") || kind.contains("ecdsa-"))
                || !body.starts_with("AAAA")
            {
                let error = self.error("bad-signer", span, "this is no public SSH key");
                error.help = Some("one line as in a `.pub` file: ssh-ed25519 AAAA…".into());
            }
        }
    }

    fn store(&mut self, entry: &Entry) {
        self.name("store", &entry.key, &entry.key_span);
        let what = format!("the store `{}`", entry.key);
        let node = &entry.value;
        if node.entries().is_empty() {
            return;
        }
        let kind = self.one_of(&what, node, &["directory", "s3"]);
        if let Some((place, span)) = node.text_at("place")
            && place.trim().is_empty()
        {
            self.error("empty-place", span, "a place needs a name").help =
                Some("what one disaster takes along: a room, a region, an account".into());
        }
        if let (Some("s3"), Some(s3)) = (kind, node.get("s3")) {
            if let Some((url, span)) = s3.text_at("endpoint")
                && !(url.starts_with("https://") || url.starts_with("http://"))
            {
                let message = format!("`{url}` is no URL");
                self.error("bad-url", span, message).help =
                    Some("e.g. https://s3.example.org or http://127.0.0.1:8333".into());
            }
            if let Some((url, span)) = s3.text_at("endpoint")
                && url.starts_with("http://")
                && !is_loopback(url)
            {
                let message = "credentials and names would cross the network in the clear";
                self.warning("no-tls", span, message).help = Some("use https://".into());
            }
        }
    }

    fn zone(&mut self, root: &Node) -> TimeZone {
        let Some((name, span)) = root.text_at("time_zone") else {
            return TimeZone::UTC;
        };
        match TimeZone::get(name) {
            Ok(zone) => zone,
            Err(_) => {
                let message = format!("there is no time zone `{name}`");
                self.error("bad-zone", span, message).help =
                    Some("as in the IANA database, e.g. Europe/Berlin, or UTC".into());
                TimeZone::UTC
            }
        }
    }

    fn source(&mut self, node: &Node, root: &Node, stores: &BTreeSet<&str>, zone: &TimeZone) {
        let name = node.text_at("source").map_or("", |(name, _)| name);
        let kind = self.one_of(&format!("the source `{name}`"), node, SOURCE_KINDS);
        for (store, span) in node.texts_at("to") {
            self.known("store", store, span, stores.iter().copied());
        }
        self.places(node, root, stores);
        if let Some(directories) = node.get("directories") {
            self.directories(directories);
        }
        if let Some(git) = node.get("git")
            && let Some((path, span)) = git.text_at("repository")
        {
            self.absolute("a repository", path, span);
        }
        if let Some(postgresql) = node.get("postgresql") {
            self.variable("password_env", postgresql);
        }
        if let Some(command) = node.get("command") {
            self.program(command, "run");
            if let Some((file, span)) = command.text_at("file") {
                self.name("file", file, span);
            }
        }
        if let (Some(kind), Some(canary)) = (kind, node.get("canary")) {
            self.canary(kind, canary, node);
        }
        self.schedule(node, zone);
        if let Some((count, span)) = node.get("keep").and_then(|keep| keep.text_at("at_least"))
            && count == "0"
        {
            self.error("bad-keep", span, "at least one backup must be kept");
        }
    }

    /// A program and its arguments: not empty.
    pub fn program(&mut self, node: &Node, key: &str) {
        if let Some(entry) = node.entry(key)
            && entry.value.items().is_empty()
        {
            let message = format!("`{key}` names no program");
            self.error("no-program", &entry.key_span, message).help =
                Some("a list: the program, then its arguments, e.g. [etcdctl, snapshot, save, /dev/stdout]".into());
        }
    }

    fn places(&mut self, node: &Node, root: &Node, stores: &BTreeSet<&str>) {
        let Some((demanded, span)) = node.text_at("places") else {
            return;
        };
        let demanded: usize = demanded.parse().unwrap_or(0);
        let named = node.texts_at("to");
        let used: Vec<&str> = match named.is_empty() {
            true => stores.iter().copied().collect(),
            false => named.iter().map(|(name, _)| *name).collect(),
        };
        let place = |store: &str| {
            let store = root.get("stores")?.get(store)?;
            store.text_at("place").map(|(place, _)| place)
        };
        let places: BTreeSet<&str> = used.iter().filter_map(|store| place(store)).collect();
        if demanded == 0 {
            self.error(
                "bad-places",
                span,
                "a backup must be held in at least one place",
            );
        } else if demanded > places.len() && used.iter().all(|store| stores.contains(store)) {
            let message = format!(
                "{demanded} independent places are demanded, and the stores of this source are in {}",
                places.len()
            );
            let help = match places.is_empty() {
                true => "add stores in other places".to_owned(),
                false => format!(
                    "they are in: {}; add a store in another place to `to`",
                    some(places.into_iter())
                ),
            };
            self.error("too-few-places", span, message).help = Some(help);
        }
    }

    fn directories(&mut self, node: &Node) {
        if let Some(entry) = node.entry("paths")
            && entry.value.items().is_empty()
        {
            self.error("empty-policy", &entry.key_span, "no directory is named");
        }
        let mut last_names: Vec<(&str, &Range<usize>)> = Vec::new();
        for (path, span) in node.texts_at("paths") {
            self.absolute("a directory", path, span);
            let last = path
                .trim_end_matches('/')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            if last.is_empty() || last == "." || last == ".." || last == ".seawall" {
                let message = format!("`{path}` has no name of its own to be kept under");
                self.error("bad-name", span, message).help =
                    Some("name the directories in it one by one".into());
            } else if let Some((_, first)) = last_names.iter().find(|(name, _)| *name == last) {
                let place = self.document.place(first);
                let message = format!("two directories would both be kept under the name `{last}`");
                let error = self.error("twice", span, message);
                error.related.push((place, "the other".into()));
                error.help = Some("make two sources of them".into());
            } else {
                last_names.push((last, span));
            }
        }
    }

    fn canary(&mut self, kind: &str, canary: &Node, source: &Node) {
        let Some(place) = self.one_of("the canary", canary, &["file", "table"]) else {
            return;
        };
        let fits = matches!(
            (kind, place),
            ("directories", "file") | ("postgresql", "table")
        );
        if !fits {
            let message = format!("a canary in a `{place}` cannot be written into `{kind}`");
            let help = match kind {
                "directories" => "write `canary: {file: /path/below/one/of/them}`",
                "postgresql" => "write `canary: {table: seawall_canary}`",
                _ => "leave the canary out: only directories and PostgreSQL can bear one",
            };
            self.error("bad-canary", &canary.head(), message).help = Some(help.into());
            return;
        }
        if let Some((file, span)) = canary.text_at("file") {
            self.absolute("the canary's file", file, span);
            let directories = source.get("directories");
            let inside = directories
                .map(|node| node.texts_at("paths"))
                .unwrap_or_default()
                .iter()
                .any(|(path, _)| is_below(file, path));
            if !inside {
                let message = format!("`{file}` is in none of the directories that are backed up");
                self.error("bad-canary", span, message);
            }
        }
        if let Some((table, span)) = canary.text_at("table")
            && (table.is_empty() || table.len() > 63 || table.contains('\0'))
        {
            self.error("bad-canary", span, "this is no name for a table");
        }
    }

    fn schedule(&mut self, node: &Node, zone: &TimeZone) {
        let Some((text, span)) = node.text_at("schedule") else {
            return;
        };
        let help =
            "five fields: minute hour day month weekday, e.g. `30 2 * * *` for 02:30 each day";
        let cron = match (text.split_whitespace().count(), Cron::from_str(text)) {
            (5, Ok(cron)) => cron,
            (5, Err(error)) => {
                let message = format!("this is no schedule: {error}");
                self.error("bad-schedule", span, message).help = Some(help.into());
                return;
            }
            _ => {
                let message = "this is no schedule of five fields";
                self.error("bad-schedule", span, message).help = Some(help.into());
                return;
            }
        };
        let Some(longest) = longest_interval(&cron, zone) else {
            self.error("bad-schedule", span, "this schedule never comes round")
                .help = Some(help.into());
            return;
        };
        let Some((rpo_text, rpo_span)) = node.text_at("rpo") else {
            return;
        };
        let Ok(rpo) = rpo_text.parse::<Span>() else {
            return;
        };
        if rpo.0.as_secs() < longest {
            let place = self.document.place(span);
            let message = format!(
                "this cannot be met: up to {} lie between two backups",
                Span(std::time::Duration::from_secs(longest))
            );
            let warning = self.warning("rpo-too-short", rpo_span, message);
            warning.related.push((place, "by this schedule".into()));
            warning.help = Some("back up more often, or allow older data".into());
        }
    }
}

/// The longest time between two runs, in seconds, among the next hundred from a fixed day on (so
/// that a document is judged the same on each day). `None`: there are no two.
fn longest_interval(cron: &Cron, zone: &TimeZone) -> Option<u64> {
    let start: Zoned = jiff::civil::date(2026, 1, 1)
        .at(0, 0, 0, 0)
        .to_zoned(zone.clone())
        .ok()?;
    let times: Vec<i64> = cron
        .iter_after(start)
        .take(100)
        .map(|time| time.timestamp().as_second())
        .collect();
    let gaps = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    gaps.max().and_then(|gap| u64::try_from(gap).ok())
}

/// Whether `path` is `directory` or below it. Only the words: no link is looked at.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    let path = super::super::documents::normal(std::path::Path::new(path));
    let directory = super::super::documents::normal(std::path::Path::new(directory));
    path.starts_with(directory)
}

/// What stands between a URL's scheme and its path: `user:password@host:port`.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether a URL's host is this machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let authority = authority(url);
    // What stands before an @ is no host, though it may look like one.
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether it looks like a recipient; else what is wrong, and what to do.
fn recipient_form(text: &str) -> Result<(), (String, &'static str)> {
    if is_private_key(text) {
        // The secret is not repeated.
        let message = "this is a private key, and recipients are public ones".to_owned();
        let help = "write its public half (`age-keygen -y FILE`); this one has been shown to whoever reads the document: make a new one";
        return Err((message, help));
    }
    let shown: String = text.chars().take(24).collect();
    if text.starts_with("age1pq1") {
        let message =
            format!("`{shown}…` is a post-quantum recipient, which this version does not know");
        return Err((
            message,
            "use an X25519 recipient (age1…), or the plugin age-plugin-pq with the name that it gives",
        ));
    }
    let bech32 = |c: char| "qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(c);
    if let Some((prefix, data)) = text.rsplit_once('1')
        && prefix.starts_with("age")
    {
        return match data.len() > 6 && data.chars().all(bech32) {
            true => Ok(()),
            false => Err((
                format!("`{shown}…` is no age recipient: it is not bech32"),
                "copy it whole, as age-keygen prints it",
            )),
        };
    }
    let mut words = text.split_whitespace();
    if matches!(words.next(), Some("ssh-ed25519" | "ssh-rsa"))
        && words.next().is_some_and(|body| body.starts_with("AAAA"))
    {
        return Ok(());
    }
    Err((
        format!("`{shown}` is no recipient"),
        "age1…, ssh-ed25519 AAAA…, ssh-rsa AAAA…, or a plugin's age1NAME1…",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_interval_is_that_of_the_schedule() {
        let longest = |text: &str| longest_interval(&Cron::from_str(text).unwrap(), &TimeZone::UTC);
        assert_eq!(longest("30 2 * * *"), Some(86_400));
        assert_eq!(longest("0 * * * *"), Some(3600));
        assert_eq!(longest("0 3 * * 0"), Some(7 * 86_400));
        assert_eq!(longest("0 8,20 * * *"), Some(12 * 3600));
    }

    #[test]
    fn a_private_key_among_recipients_is_not_repeated() {
        let key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQ";
        let (message, _) = recipient_form(key).unwrap_err();
        assert!(!message.contains("QQQ"), "{message}");
    }

    #[test]
    fn a_host_before_an_at_sign_is_not_this_machine() {
        assert!(is_loopback("http://127.0.0.1:8080/x"));
        assert!(is_loopback("http://[::1]/"));
        assert!(!is_loopback("http://localhost@example.org/"));
        assert!(!is_loopback("http://127.0.0.1.example.org/"));
    }
}
