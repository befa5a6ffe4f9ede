//! What every format is read into, before groups and defaults are merged into the hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::super::baseline::Value;
use super::super::diagnostic::{Diagnostic, Place, Source, in_order, nearest};
use super::words::{self, MAX_HOSTS};
use super::{Host, Inventory, Sudo};

/// How often an inventory may name hosts, in groups and by itself.
const MAX_NAMED: usize = 10 * MAX_HOSTS;
/// How many unknown names are told; each is compared with all that there are.
const MAX_UNKNOWN: usize = 100;

/// What may be said of a host, a group, or everyone.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub address: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identities: Option<Vec<String>>,
    pub known_hosts: Option<Vec<String>>,
    pub jump: Option<Vec<String>>,
    pub sudo: Option<Sudo>,
    pub local: Option<bool>,
    pub legacy: Option<bool>,
    pub variables: BTreeMap<String, Value>,
    pub data: Option<String>,
}

impl Settings {
    /// What `over` says takes the place of what is said here.
    fn take(&mut self, over: &Settings) {
        fn set<T: Clone>(here: &mut Option<T>, over: &Option<T>) {
            if over.is_some() {
                here.clone_from(over);
            }
        }
        set(&mut self.address, &over.address);
        set(&mut self.port, &over.port);
        set(&mut self.user, &over.user);
        set(&mut self.identities, &over.identities);
        set(&mut self.known_hosts, &over.known_hosts);
        set(&mut self.jump, &over.jump);
        set(&mut self.sudo, &over.sudo);
        set(&mut self.local, &over.local);
        set(&mut self.legacy, &over.legacy);
        set(&mut self.data, &over.data);
        let variables = over.variables.clone();
        self.variables.extend(variables);
    }
}

#[derive(Clone, Debug)]
pub(super) struct DraftHost {
    pub name: String,
    pub span: Range<usize>,
    pub settings: Settings,
    /// Groups that the host itself names.
    pub groups: Vec<(String, Range<usize>)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct DraftGroup {
    pub hosts: Vec<(String, Range<usize>)>,
    pub children: Vec<(String, Range<usize>)>,
    pub settings: Settings,
}

/// An inventory before it is put together.
pub(super) struct Draft<'s> {
    pub source: &'s Arc<Source>,
    pub defaults: Settings,
    pub hosts: Vec<DraftHost>,
    pub groups: BTreeMap<String, DraftGroup>,
    pub found: Vec<Diagnostic>,
    by_name: BTreeMap<String, usize>,
    /// How many names patterns have stood for so far.
    named: usize,
}

impl<'s> Draft<'s> {
    pub fn new(source: &'s Arc<Source>) -> Self {
        Draft {
            source,
            defaults: Settings::default(),
            hosts: Vec::new(),
            groups: BTreeMap::new(),
            found: Vec::new(),
            by_name: BTreeMap::new(),
            named: 0,
        }
    }

    pub fn place(&self, span: &Range<usize>) -> Place {
        Place::new(self.source, span.clone())
    }

    pub fn error(&mut self, code: &'static str, span: &Range<usize>, message: impl Into<String>) {
        let error = Diagnostic::error(code, self.place(span), message);
        self.found.push(error);
    }

    /// The names that a pattern stands for; nothing, and a mistake, where it is wrong.
    pub fn names(&mut self, pattern: &str, span: &Range<usize>) -> Vec<String> {
        // Many short patterns must not stand for more than one long one may.
        if self.named > MAX_NAMED {
            return Vec::new();
        }
        let names = words::expand(pattern).and_then(|names| {
            names.iter().try_for_each(|name| words::check_host(name))?;
            Ok(names)
        });
        self.named += names.as_ref().map_or(1, Vec::len);
        if self.named > MAX_NAMED {
            let message = format!("this inventory names hosts more than {MAX_NAMED} times");
            self.error("too-large", span, message);
            return Vec::new();
        }
        names.unwrap_or_else(|why| {
            self.error("bad-host", span, why);
            Vec::new()
        })
    }

    pub fn host(&mut self, name: &str) -> Option<&mut DraftHost> {
        let at = *self.by_name.get(name)?;
        self.hosts.get_mut(at)
    }

    /// A new host. One of that name is a mistake if `once`, and is extended otherwise.
    pub fn add(&mut self, name: String, span: &Range<usize>, settings: Settings, once: bool) {
        if let Some(at) = self.by_name.get(&name).copied() {
            if once {
                let first = self.hosts.get(at).map_or(0..0, |host| host.span.clone());
                let error = Diagnostic::error(
                    "duplicate-host",
                    self.place(span),
                    format!("two hosts are named `{name}`"),
                )
                .label("here again")
                .related(self.place(&first), "first here")
                .help("give one of them another name; `address` says where it is");
                self.found.push(error);
            } else if let Some(host) = self.hosts.get_mut(at) {
                host.settings.take(&settings);
            }
            return;
        }
        if self.hosts.len() == MAX_HOSTS {
            self.error(
                "too-large",
                span,
                format!("an inventory has at most {MAX_HOSTS} hosts"),
            );
        }
        if self.hosts.len() > MAX_HOSTS {
            return;
        }
        self.by_name.insert(name.clone(), self.hosts.len());
        let (span, groups) = (span.clone(), Vec::new());
        self.hosts.push(DraftHost {
            name,
            span,
            settings,
            groups,
        });
    }

    /// Checks what refers to what, and merges: defaults, then groups (parents before their
    /// children), then the host.
    pub fn finish(
        mut self,
        directory: &Path,
        home: Option<&Path>,
    ) -> Result<Inventory, Vec<Diagnostic>> {
        self.check_references();
        let order = self.parents_first();
        if self.hosts.is_empty() && self.found.is_empty() {
            let error =
                Diagnostic::error("empty", self.place(&(0..0)), "this inventory has no hosts");
            self.found
                .push(error.help("name them under `hosts`, or one `user@host:port` a line"));
        }
        if !self.found.is_empty() {
            return Err(in_order(self.found));
        }
        let members = self.members(&order);
        let groups = &self.groups;
        let defaults = &self.defaults;
        let hosts = self.hosts.iter().map(|host| {
            let of = members.get(host.name.as_str()).cloned().unwrap_or_default();
            let mut settings = defaults.clone();
            for group in order.iter().filter(|group| of.contains(group.as_str())) {
                if let Some(group) = groups.get(group) {
                    settings.take(&group.settings);
                }
            }
            settings.take(&host.settings);
            let of = of.into_iter().map(str::to_owned).collect();
            merged(&host.name, of, settings, directory, home)
        });
        Ok(Inventory {
            hosts: hosts.collect(),
        })
    }

    fn check_references(&mut self) {
        let mut wrong = Vec::new();
        let unknown = |what: &str, name: &str, span: &Range<usize>, known: Vec<&str>| {
            let message = format!("there is no {what} `{name}` in this inventory");
            let code = if what == "host" {
                "unknown-host"
            } else {
                "unknown-group"
            };
            let error = Diagnostic::error(code, Place::new(self.source, span.clone()), message);
            match (nearest(name, known.iter().copied()), what) {
                (Some(word), _) => error.help(format!("did you mean `{word}`?")),
                (None, "host") => {
                    error.help(format!("add it under `hosts`: `{name}: {{address: …}}`"))
                }
                (None, _) => error.help(format!("add it under `groups`: `{name}: {{hosts: […]}}`")),
            }
        };
        let hosts = || self.by_name.keys().map(String::as_str).collect();
        let groups = || self.groups.keys().map(String::as_str).collect();
        let in_groups = self.groups.values().flat_map(|group| &group.hosts);
        let children = self.groups.values().flat_map(|group| &group.children);
        let of_hosts = self.hosts.iter().flat_map(|host| &host.groups);
        let no_host = in_groups.filter(|(name, _)| !self.by_name.contains_key(name));
        let no_group = children
            .chain(of_hosts)
            .filter(|(name, _)| !self.groups.contains_key(name));
        for (name, span) in no_host.take(MAX_UNKNOWN) {
            wrong.push(unknown("host", name, span, hosts()));
        }
        for (name, span) in no_group.take(MAX_UNKNOWN) {
            wrong.push(unknown("group", name, span, groups()));
        }
        self.found.extend(wrong);
    }

    /// Reports what goes to ssh and is something else in disguise.
    pub fn judge<T>(&mut self, result: Result<T, String>, span: &Range<usize>) {
        if let Err(why) = result {
            self.error("bad-host", span, why);
        }
    }

    /// All groups, each after those that it is in. A group that is in itself is a mistake.
    fn parents_first(&mut self) -> Vec<String> {
        let mut waiting: BTreeMap<&str, usize> =
            self.groups.keys().map(|name| (name.as_str(), 0)).collect();
        for (child, _) in self.groups.values().flat_map(|group| &group.children) {
            if let Some(count) = waiting.get_mut(child.as_str()) {
                *count += 1;
            }
        }
        let mut order: Vec<String> = Vec::new();
        let mut ready: BTreeSet<&str> = waiting
            .iter()
            .filter(|(_, n)| **n == 0)
            .map(|(g, _)| *g)
            .collect();
        while let Some(name) = ready.pop_first() {
            order.push(name.to_owned());
            waiting.remove(name);
            for (child, _) in self
                .groups
                .get(name)
                .iter()
                .flat_map(|group| &group.children)
            {
                if let Some(count) = waiting.get_mut(child.as_str()) {
                    *count -= 1;
                    if *count == 0 {
                        ready.insert(child);
                    }
                }
            }
        }
        let round = waiting.keys().find_map(|name| {
            let children = &self.groups.get(*name)?.children;
            let (child, span) = children
                .iter()
                .find(|(child, _)| waiting.contains_key(child.as_str()))?;
            Some((child.clone(), span.clone()))
        });
        if let Some((child, span)) = round {
            let message = format!("the group `{child}` is in itself, by way of other groups");
            let error = Diagnostic::error("group-cycle", self.place(&span), message)
                .label("this closes the circle");
            self.found
                .push(error.help("take the group out of one of the lists"));
        }
        order
    }

    /// Host → all groups it is in. Children come last in `order`, so walking it backwards hands
    /// a child's hosts up to its parents.
    fn members<'a>(&'a self, order: &[String]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let mut hosts_of: BTreeMap<&'a str, BTreeSet<&'a str>> = BTreeMap::new();
        for (name, group) in &self.groups {
            let hosts = group.hosts.iter().map(|(host, _)| host.as_str());
            hosts_of.entry(name).or_default().extend(hosts);
        }
        for host in &self.hosts {
            for (group, _) in &host.groups {
                hosts_of.entry(group).or_default().insert(&host.name);
            }
        }
        let known = |name: &String| self.groups.get_key_value(name);
        for (name, group) in order.iter().rev().filter_map(known) {
            for (child, _) in &group.children {
                let below = hosts_of.get(child.as_str()).cloned().unwrap_or_default();
                hosts_of.entry(name).or_default().extend(below);
            }
        }
        let mut out: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (group, hosts) in hosts_of {
            for host in hosts {
                out.entry(host).or_default().insert(group);
            }
        }
        out
    }
}

fn merged(
    name: &str,
    groups: BTreeSet<String>,
    settings: Settings,
    directory: &Path,
    home: Option<&Path>,
) -> Host {
    let paths = |texts: Option<Vec<String>>| {
        let texts = texts.unwrap_or_default();
        texts
            .iter()
            .map(|text| words::path(text, directory, home))
            .collect()
    };
    Host {
        name: name.to_owned(),
        groups,
        address: settings.address,
        port: settings.port,
        user: settings.user,
        identities: paths(settings.identities),
        known_hosts: paths(settings.known_hosts),
        jump: settings.jump.unwrap_or_default(),
        sudo: settings.sudo.unwrap_or_default(),
        local: settings.local.unwrap_or_default(),
        legacy: settings.legacy.unwrap_or_default(),
        variables: settings.variables,
        data: settings.data,
    }
}
