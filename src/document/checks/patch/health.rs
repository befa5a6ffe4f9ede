//! How a host's health is seen, and what is run before it is changed.

use std::ops::Range;

use super::super::super::spans::Node;
use super::{PatchCheck, given, items, unclosed};

impl PatchCheck<'_> {
    pub(super) fn health(&mut self) {
        if let Some(hook) = given(self.root, "snapshot") {
            self.hook(hook);
        }
        self.units(self.root, "never_restart");
        let Some(health) = given(self.root, "health") else {
            return;
        };
        self.units(health, "ignore_units");
        for (port, span) in health.texts_at("ignore_ports") {
            self.port(port, span);
        }
        let checks = items(health, "checks");
        let mut seen: Vec<(&str, &Range<usize>)> = Vec::new();
        for check in checks {
            if let Some((name, span)) = check.text_at("check") {
                if name.trim().is_empty() {
                    self.check
                        .error("empty-text", span, "a health check has no name");
                }
                self.check.unique("health check", &mut seen, name, span);
            }
            self.health_check(check);
        }
        let off = |key: &str| health.get(key).and_then(Node::boolean) == Some(false);
        if off("units") && off("ports") && checks.is_empty() {
            let message = "nothing is watched: every change would count as healthy";
            self.check.error("no-health", &health.head(), message).help =
                Some("watch units or ports, or add a check of your own".to_owned());
        }
        for (switch, list) in [("units", "ignore_units"), ("ports", "ignore_ports")] {
            if let Some(entry) = health.entry(list)
                && off(switch)
                && !entry.value.items().is_empty()
            {
                let message = format!("this has no effect: `{switch}: false` watches none of them");
                self.check.warning("no-effect", &entry.key_span, message);
            }
        }
    }

    fn hook(&mut self, hook: &Node) {
        match self
            .check
            .one_of("the snapshot", hook, &["on_host", "here"])
        {
            Some("here") => self.check.program(hook, "here"),
            Some(_) => self.text(
                hook,
                "on_host",
                "the snapshot's command is empty",
                "a command (sh) that is run on the host, or take `snapshot` away",
            ),
            None => {}
        }
    }

    /// Names of units, or globs.
    fn units(&mut self, node: &Node, key: &str) {
        for (unit, span) in node.texts_at(key) {
            let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@*?[]!^".contains(c);
            if unclosed(unit) {
                self.bad_glob(unit, span);
            } else if unit.is_empty() || unit.starts_with(['!', '-']) || !unit.chars().all(fits) {
                let message = format!("`{unit}` can be no unit's name");
                self.check.error("bad-glob", span, message).help =
                    Some("e.g. `docker.service`, or a glob such as `postgresql@*`".to_owned());
            }
        }
    }

    fn port(&mut self, text: &str, span: &Range<usize>) {
        let port = ["tcp/", "udp/"]
            .iter()
            .find_map(|protocol| text.strip_prefix(protocol))
            .filter(|port| port.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|port| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) {
            let message = format!("`{text}` is no port");
            self.check.error("bad-port", span, message).help =
                Some("`tcp/PORT` or `udp/PORT`, with a port from 1 to 65535".to_owned());
        }
    }

    fn health_check(&mut self, check: &Node) {
        let name = check.text_at("check").map_or("", |(name, _)| name);
        self.hosts(
            check,
            "hosts",
            "take the key away to mean all of the playbook's",
        );
        self.named(check, "hosts", "these are");
        let what = format!("the health check `{name}`");
        match self.check.one_of(&what, check, &["command", "http"]) {
            Some("http") => {
                if let Some((url, span)) = check.text_at("http") {
                    self.url(url, span);
                }
            }
            Some(_) => {
                self.text(
                    check,
                    "command",
                    "a health check's command is empty",
                    "a command (sh) that exits with 0 when the host is well",
                );
                if let Some(entry) = check.entry("status") {
                    let message = "only an answer over HTTP has a status";
                    self.check.error("no-effect", &entry.key_span, message).help =
                        Some("a command must exit with 0; take `status` away".to_owned());
                }
            }
            None => {}
        }
        if let Some((text, span)) = check.text_at("status")
            && let Ok(status) = text.parse::<u16>()
            && !(100..=599).contains(&status)
        {
            let message = format!("{status} is no status of HTTP");
            self.check.error("bad-status", span, message).help =
                Some("from 100 to 599; 200 is the default".to_owned());
        }
        if let Some((text, span)) = check.text_at("contains")
            && text.is_empty()
        {
            let message = "every answer contains the empty text";
            self.check.error("empty-text", span, message).help =
                Some("write what it must contain, or take `contains` away".to_owned());
        }
    }

    /// A URL, with nothing in braces but the host, and no password.
    fn url(&mut self, url: &str, span: &Range<usize>) {
        let mut wrong = |message: String, help: &str| {
            self.check.error("bad-url", span, message).help = Some(help.to_owned());
        };
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        let Some(rest) = rest else {
            let help = "e.g. http://{{ host }}:8080/healthz or https://www.example.org/";
            return wrong(format!("`{url}` is no URL of HTTP"), help);
        };
        let mut plain = String::new();
        let mut left = rest;
        while let Some((before, after)) = left.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                let message = "`{{` is never closed".to_owned();
                return wrong(message, "write `{{ host }}`");
            };
            if name.trim() != "host" {
                let message = format!("there is no variable `{}` here", name.trim());
                return wrong(
                    message,
                    "`{{ host }}` is the host's address, and the only one",
                );
            }
            plain.push_str(before);
            plain.push_str("host");
            left = behind;
        }
        plain.push_str(left);
        let authority = plain.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            // It may be a password: it is not repeated.
            let message = "no name or password may stand in a URL".to_owned();
            return wrong(
                message,
                "ask for something that needs none, or use `command`",
            );
        }
        if authority.is_empty()
            || authority.starts_with(':')
            || plain.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            let help = "e.g. http://{{ host }}:8080/healthz or https://www.example.org/";
            wrong(format!("`{url}` is no URL of HTTP"), help);
        }
    }
}
