//! The summary at the end of a run, for a tired person: worst first, few lines, what to do next.

use std::fmt::Write;

use super::fold::Confirm;
use super::group::{FindingGroup, areas, groups};
use super::paint::{Ink, Paint};
use super::words::{badness, count, duration, outcome_word, pad, some, whom, widest, wrap};
use super::{Counts, HostView, RunView, Score};
use crate::journal::HostOutcome;
use crate::model::{Severity, Status};
use crate::shell::clean;

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Style {
    /// Escapes for colour; never where `NO_COLOR` is set or the output is no terminal.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Whole diffs instead of the first lines of each.
    pub full_diff: bool,
    /// How many findings, hosts and changes are listed at most, each.
    pub rows: usize,
    /// What stood after `-i`, for the commands that are proposed.
    pub inventory: Option<String>,
}

impl Default for Style {
    fn default() -> Self {
        Style {
            color: false,
            width: 100,
            full_diff: false,
            rows: 30,
            inventory: None,
        }
    }
}

/// Writes summaries.
#[derive(Clone, Debug, Default)]
pub struct Terminal {
    style: Style,
    paint: Paint,
}

impl Terminal {
    pub fn new(style: Style) -> Self {
        let paint = Paint::new(style.color);
        Terminal { style, paint }
    }

    /// The whole summary, with a newline at its end.
    pub fn summary(&self, view: &RunView) -> String {
        let mut out = String::new();
        self.head(&mut out, view);
        self.hosts(&mut out, view);
        if view.changes_hosts() {
            self.changes(&mut out, view);
        }
        self.failing(&mut out, view);
        self.not_seen(&mut out, view);
        self.figures(&mut out, view);
        self.notes(&mut out, view);
        self.next(&mut out, view);
        out
    }

    fn head(&self, out: &mut String, view: &RunView) {
        let title = if view.playbook_title.is_empty() {
            &view.playbook
        } else {
            &view.playbook_title
        };
        let mut facts = vec![clean(title, 60), count(view.hosts.len(), "host")];
        if view.rules > 0 {
            facts.push(format!("{} each", count(view.rules, "rule")));
        }
        if let Some(ending) = &view.ended {
            facts.push(duration(ending.millis));
        }
        let verb = clean(&view.verb, 20);
        let room = self.style.width.saturating_sub(verb.chars().count() + 2);
        let verb = self.paint.ink(Ink::Bold, &verb);
        let facts = wrap(&facts.join(" · "), room, 1).concat();
        let _ = writeln!(out, "{verb}  {facts}");
        let _ = writeln!(
            out,
            "{}",
            self.paint
                .ink(Ink::Dim, &format!("run {}", clean(&view.run, 40)))
        );
        match &view.ended {
            None => self.alarm(out, "The run did not come to its end."),
            Some(ending) => {
                if let Some(stopped) = &ending.stopped {
                    self.alarm(out, &format!("Stopped early: {}", clean(stopped, 300)));
                }
            }
        }
    }

    fn alarm(&self, out: &mut String, text: &str) {
        for line in wrap(text, self.style.width, 4) {
            let _ = writeln!(out, "{}", self.paint.ink(Ink::Bad, &line));
        }
    }

    fn heading(&self, out: &mut String, text: &str, aside: &str) {
        let _ = writeln!(
            out,
            "\n{}{}{}",
            self.paint.ink(Ink::Bold, text),
            if aside.is_empty() { "" } else { "  " },
            self.paint.ink(Ink::Dim, aside)
        );
    }

    fn hosts(&self, out: &mut String, view: &RunView) {
        self.heading(out, "Hosts", "");
        let mut hosts: Vec<&HostView> = view.hosts.iter().collect();
        hosts.sort_by_key(|host| {
            (
                badness(host.standing()),
                usize::MAX - host.count(Status::Fail),
            )
        });
        let fine = |host: &HostView| {
            matches!(host.standing(), HostOutcome::Clean | HostOutcome::Changed)
                && host.story().is_none()
        };
        let quiet: Vec<&HostView> = if hosts.len() > self.style.rows.min(12) {
            let (quiet, loud) = hosts.into_iter().partition(|host| fine(host));
            hosts = loud;
            quiet
        } else {
            Vec::new()
        };
        let name_width = widest(hosts.iter().map(|host| host.name.as_str()), 32);
        let shown = self.style.rows.min(hosts.len());
        for host in hosts.iter().take(shown) {
            self.host(out, host, name_width);
        }
        let rest = hosts.get(shown..).unwrap_or_default();
        if !rest.is_empty() {
            let fails: usize = rest.iter().map(|host| host.count(Status::Fail)).sum();
            let _ = writeln!(
                out,
                "  … and {} more with {fails} failing in all",
                count(rest.len(), "host")
            );
        }
        if !quiet.is_empty() {
            let names: Vec<String> = quiet.iter().map(|host| clean(&host.name, 40)).collect();
            let text = format!(
                "{} as demanded: {}",
                count(quiet.len(), "host"),
                names.join(" ")
            );
            for line in wrap(&text, self.style.width.saturating_sub(4), 3) {
                let _ = writeln!(out, "  {}", self.paint.ink(Ink::Good, &line));
            }
        }
    }

    fn host(&self, out: &mut String, host: &HostView, name_width: usize) {
        let standing = host.standing();
        let ink = match standing {
            HostOutcome::Clean | HostOutcome::Changed => Ink::Good,
            HostOutcome::Findings => Ink::Warn,
            HostOutcome::Failed | HostOutcome::Unknown => Ink::Bad,
            HostOutcome::NotStarted => Ink::Dim,
        };
        let word = outcome_word(standing);
        let mut tail = host_counts(host);
        if host.confirm == Confirm::Kept {
            tail.push("kept after a fresh log-in".to_owned());
        }
        let indent = " ".repeat(name_width + OUTCOME_WIDTH + 6);
        let width = self.style.width.saturating_sub(indent.len());
        let mut lines: Vec<String> = Vec::new();
        if !tail.is_empty() {
            lines.extend(wrap(&tail.join(" · "), width, 3));
        }
        if let Some(story) = host.story() {
            let story = wrap(&clean(&story, 400), width, 4);
            lines.extend(story.iter().map(|line| self.paint.ink(ink, line)));
        }
        let mut lines = lines.into_iter();
        let head = format!(
            "  {}  {}  {}",
            pad(&clean(&host.name, 32), name_width),
            self.paint.ink(ink, &pad(word, OUTCOME_WIDTH)),
            lines.next().unwrap_or_default()
        );
        let _ = writeln!(out, "{}", head.trim_end());
        for line in lines {
            let _ = writeln!(out, "{indent}{line}");
        }
        if let Some(hint) = host.unreachable.as_ref().and_then(|u| u.hint.as_ref()) {
            for line in wrap(&format!("→ {}", clean(hint, 300)), width, 3) {
                let _ = writeln!(out, "{indent}{}", self.paint.ink(Ink::Dim, &line));
            }
        }
    }

    fn failing(&self, out: &mut String, view: &RunView) {
        let found = groups(view, |f| f.status == Status::Fail);
        if found.is_empty() {
            return;
        }
        let fixable = found.iter().filter(|g| g.finding.fixable).count();
        let aside = match view.verb.as_str() {
            "check" | "dry-run" => format!(
                "worst first; apply can bring about {fixable} of {}",
                count(found.len(), "rule")
            ),
            _ => "still not as demanded, worst first".to_owned(),
        };
        self.heading(out, "Failing", &aside);
        self.finding_rows(out, view, &found);
    }

    fn not_seen(&self, out: &mut String, view: &RunView) {
        let found = groups(view, |f| {
            f.status == Status::Unknown && view.is_of_seen_host(f)
        });
        let hosts: Vec<String> = view.not_seen().map(|h| clean(&h.name, 40)).collect();
        if found.is_empty() && hosts.is_empty() {
            return;
        }
        self.heading(out, "Not seen", "unknown is not a pass");
        if !hosts.is_empty() {
            let text = format!(
                "nothing of {} ({}): see above",
                count(hosts.len(), "host"),
                some(&hosts, 12)
            );
            for line in wrap(&text, self.style.width.saturating_sub(4), 3) {
                let _ = writeln!(out, "  {line}");
            }
        }
        self.finding_rows(out, view, &found);
    }

    fn finding_rows(&self, out: &mut String, view: &RunView, found: &[FindingGroup]) {
        let many = view.hosts.len();
        let shown = found.get(..self.style.rows.min(found.len())).unwrap_or(&[]);
        let rule_width = widest(shown.iter().map(|g| g.finding.rule.as_str()), 26);
        let whoms: Vec<String> = shown.iter().map(|g| whom(&g.hosts, many)).collect();
        let whom_width = widest(whoms.iter().map(String::as_str), 24);
        let columns = [rule_width, SEVERITY_WIDTH, whom_width];
        for (group, whom) in shown.iter().zip(&whoms) {
            self.finding_row(out, group, whom, columns);
        }
        let rest = found.get(shown.len()..).unwrap_or_default();
        if !rest.is_empty() {
            let by: Vec<String> = Severity::WORST_FIRST
                .iter()
                .map(|s| (rest.iter().filter(|g| g.finding.severity == *s).count(), s))
                .filter(|(n, _)| *n > 0)
                .map(|(n, s)| format!("{n} {}", s.word()))
                .collect();
            let text = format!(
                "… and {} more ({}); the report has all",
                rest.len(),
                by.join(", ")
            );
            for line in wrap(&text, self.style.width.saturating_sub(4), 2) {
                let _ = writeln!(out, "  {line}");
            }
        }
    }

    /// Rule, severity, hosts, and what is wrong: in columns, where the terminal has room for them
    /// and the rule's id is not too long.
    fn finding_row(
        &self,
        out: &mut String,
        group: &FindingGroup,
        whom: &str,
        [rule_width, severity_width, whom_width]: [usize; 3],
    ) {
        let width = self.style.width;
        let rule = clean(&group.finding.rule, width.saturating_sub(3));
        let word = group.finding.severity.word();
        let severity = self
            .paint
            .ink(Ink::of(group.finding.severity), &pad(word, severity_width));
        let text_at = 2 + rule_width + 2 + severity_width + 2 + whom_width + 2;
        let head_width = text_at - rule_width + rule.chars().count().max(rule_width);
        let (room, indent) = match width.saturating_sub(text_at) {
            room if room >= 28 => (room, text_at),
            _ => (width.saturating_sub(6), 6),
        };
        let text = finding_text(group, room * 2);
        let head = format!(
            "  {}  {severity}  {}",
            pad(&rule, rule_width),
            pad(whom, whom_width)
        );
        let mut lines = wrap(&text, room, 2).into_iter().peekable();
        let first = lines.peek().map(|line| line.chars().count()).unwrap_or(0);
        if indent == text_at && head_width + first <= width {
            let first = lines.next().unwrap_or_default();
            let _ = writeln!(out, "{head}  {first}");
        } else if head_width <= width {
            let _ = writeln!(out, "{}", head.trim_end());
        } else {
            let _ = writeln!(out, "  {rule}\n      {severity}  {whom}");
        }
        for line in lines {
            let _ = writeln!(out, "{}{line}", " ".repeat(indent));
        }
    }

    fn figures(&self, out: &mut String, view: &RunView) {
        let counts = Counts::of(view.findings());
        if counts == Counts::default() {
            return;
        }
        self.heading(out, "In all", "");
        let all: Vec<String> = Status::WORST_FIRST
            .iter()
            .filter(|status| counts.get(**status) > 0)
            .map(|status| format!("{} {}", counts.get(*status), status.word()))
            .collect();
        self.figure(out, "findings", &all.join(" · "));
        let severities: Vec<String> = Severity::WORST_FIRST
            .iter()
            .map(|s| (open_of(view, *s), s))
            .filter(|(n, _)| *n > 0)
            .map(|(n, s)| self.paint.ink(Ink::of(*s), &format!("{n} {}", s.word())))
            .collect();
        if !severities.is_empty() {
            // Short enough for any terminal, and with colours that must not be counted.
            let name = self.paint.ink(Ink::Dim, &pad("open", 8));
            let _ = writeln!(out, "  {name}  {}", severities.join(" · "));
        }
        let rows: Vec<String> = areas(view)
            .into_iter()
            .filter(|row| row.counts.fail + row.counts.unknown > 0)
            .map(|row| {
                let open = row.counts.fail + row.counts.unknown;
                format!("{} {open}/{}", clean(&row.area, 30), row.counts.judged())
            })
            .collect();
        if !rows.is_empty() {
            self.figure(out, "by area", &rows.join(", "));
        }
        self.figure(out, "score", &score_words(view));
    }

    fn figure(&self, out: &mut String, name: &str, text: &str) {
        let lines = wrap(text, self.style.width.saturating_sub(12), 3);
        for (at, line) in lines.iter().enumerate() {
            let name = pad(if at == 0 { name } else { "" }, 8);
            let _ = writeln!(out, "  {}  {line}", self.paint.ink(Ink::Dim, &name));
        }
    }

    fn notes(&self, out: &mut String, view: &RunView) {
        let of_hosts = view.hosts.iter().flat_map(|host| {
            host.notes
                .iter()
                .map(|note| format!("{}: {}", clean(&host.name, 40), clean(note, 300)))
        });
        let mut notes: Vec<String> = view.notes.iter().map(|n| clean(n, 300)).collect();
        notes.extend(of_hosts);
        if notes.is_empty() {
            return;
        }
        self.heading(out, "Notes", "");
        for note in notes.iter().take(self.style.rows) {
            for (at, line) in wrap(note, self.style.width.saturating_sub(4), 3)
                .iter()
                .enumerate()
            {
                let _ = writeln!(out, "  {}{line}", if at == 0 { "" } else { "  " });
            }
        }
        if notes.len() > self.style.rows {
            let _ = writeln!(out, "  … and {} more", notes.len() - self.style.rows);
        }
    }

    fn next(&self, out: &mut String, view: &RunView) {
        let steps = super::next::next_steps(view, self.style.inventory.as_deref());
        if steps.is_empty() {
            return;
        }
        self.heading(out, "Next", "");
        let width = widest(steps.iter().map(|step| step.command.as_str()), 200);
        let aside = widest(steps.iter().map(|step| step.what_for.as_str()), 200);
        let beside = 2 + width + 2 + aside <= self.style.width;
        for step in steps {
            let what_for = self.paint.ink(Ink::Dim, &step.what_for);
            // A command is never broken: it is there to be copied.
            if beside {
                let command = self.paint.ink(Ink::Bold, &pad(&step.command, width));
                let _ = writeln!(out, "  {command}  {what_for}");
            } else {
                let command = self.paint.ink(Ink::Bold, &step.command);
                let _ = writeln!(out, "  {command}\n      {what_for}");
            }
        }
    }
}

const OUTCOME_WIDTH: usize = 11;
const SEVERITY_WIDTH: usize = 8;

/// How many findings of that severity fail or are unknown.
fn open_of(view: &RunView, severity: Severity) -> usize {
    view.findings()
        .filter(|f| f.severity == severity)
        .filter(|f| super::is_open(f))
        .count()
}

fn host_counts(host: &HostView) -> Vec<String> {
    let counts = Counts::of(&host.findings);
    Status::WORST_FIRST
        .iter()
        .filter(|status| !matches!(status, Status::Manual | Status::NotApplicable))
        .filter(|status| counts.get(**status) > 0)
        .map(|status| format!("{} {}", counts.get(*status), status.word()))
        .collect()
}

fn score_words(view: &RunView) -> String {
    let score = Score::of(view);
    let Some(percent) = score.percent() else {
        return "nothing was judged".to_owned();
    };
    let mut text = format!("{percent:.1} %");
    if let Some(without) = score.percent_without_waivers()
        && (without - percent).abs() > 0.05
    {
        let _ = write!(text, ", {without:.1} % without the waivers");
    }
    if let Some(before) = Score::before(view).percent()
        && (before - percent).abs() > 0.05
    {
        let _ = write!(text, ", was {before:.1} % before");
    }
    let missing = view.not_seen().count();
    if missing > 0 {
        let _ = write!(
            text,
            "; {} not seen count as unknown",
            count(missing, "host")
        );
    }
    text
}

/// What is demanded and what is, and why nothing came of it, in about `room` characters. What is
/// demanded gives way to what is.
fn finding_text(group: &FindingGroup, room: usize) -> String {
    let finding = group.finding;
    let room = room.saturating_sub(20).max(40);
    let actual = clean(&finding.actual, room * 2 / 3);
    let expected = clean(
        &finding.expected,
        room.saturating_sub(actual.chars().count()),
    );
    let mut text = format!("expected {expected}, is {actual}");
    if finding.status == Status::Unknown {
        text = match &finding.reason {
            Some(reason) => clean(reason, 300),
            None => "could not be observed".to_owned(),
        };
    } else if let Some(reason) = &finding.reason {
        let _ = write!(text, " ({})", clean(reason, 200));
    }
    // The reason of one that has expired says so itself; whom to ask is missing there.
    if let Some(waiver) = finding.waiver.as_ref().filter(|w| w.expired) {
        if finding.reason.is_none() {
            let _ = write!(
                text,
                " (its waiver expired on {})",
                clean(&waiver.expires, 10)
            );
        }
        let _ = write!(text, " (owner: {})", clean(&waiver.owner, 40));
    }
    text
}

mod changes;
#[cfg(test)]
mod tests;
