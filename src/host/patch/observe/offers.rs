//! What `apt-get -s -V dist-upgrade` says that it would do.

use crate::model::patch::OfferKind;

/// One thing that it would do, or does not do for now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// As apt names it: with `:ARCH` where that is not the host's own.
    pub full_name: String,
    pub kind: OfferKind,
    /// Empty where apt does not say it.
    pub arch: String,
    pub from: String,
    pub to: String,
    /// e.g. `Debian:12.5/stable, Debian-Security:12/stable-security`.
    pub origin: String,
    /// Of a deferred one: whether apt itself says that it is given out by and by.
    pub phased: bool,
}

impl Step {
    pub fn name(&self) -> &str {
        self.full_name.split(':').next().unwrap_or_default()
    }
}

/// In apt's order; what is deferred comes last.
///
/// # Errors
/// When a line cannot be read: then what would be done is not known.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    /// What the indented lines after a heading tell.
    #[derive(Clone, Copy, PartialEq)]
    enum List {
        Kept,
        Phased,
        Other,
    }
    let (mut steps, mut deferred) = (Vec::new(), Vec::new());
    let mut list = List::Other;
    for line in text.lines() {
        let cannot = || "what apt-get would do cannot be read".to_owned();
        if let Some(rest) = line.strip_prefix("Inst ") {
            steps.push(install(rest).ok_or_else(cannot)?);
        } else if let Some(rest) = line.strip_prefix("Remv ") {
            steps.push(remove(rest).ok_or_else(cannot)?);
        } else if let Some(rest) = line.strip_prefix("  ") {
            if list != List::Other {
                kept(rest.trim(), list == List::Phased, &mut deferred);
            }
        } else {
            list = match line.trim_end() {
                "The following packages have been kept back:" | "Not upgrading:" => List::Kept,
                "The following upgrades have been deferred due to phasing:"
                | "Not upgrading yet due to phasing:" => List::Phased,
                _ => List::Other,
            };
        }
        if steps.len() + deferred.len() > super::MANY {
            return Err("apt-get would do too many things".into());
        }
    }
    // Of two headings that name it, the more telling one counts.
    deferred.sort_by(|a: &Step, b| (&a.full_name, !a.phased).cmp(&(&b.full_name, !b.phased)));
    deferred.dedup_by(|b, a| a.full_name == b.full_name);
    steps.append(&mut deferred);
    Ok(steps)
}

/// `NAME [OLD] (NEW ORIGIN, ORIGIN [ARCH]) [more]`
fn install(text: &str) -> Option<Step> {
    let (name, rest) = text.split_once(' ')?;
    let (from, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("] ")?,
        None => ("", rest),
    };
    let inner = rest.strip_prefix('(')?;
    let inner = inner
        .split_once("])")
        .map_or_else(|| inner.split_once(')').map(|(i, _)| i), |(i, _)| Some(i))?;
    let (inner, arch) = inner.rsplit_once('[').unwrap_or((inner, ""));
    let (to, origin) = inner.trim().split_once(' ').unwrap_or((inner.trim(), ""));
    if name.is_empty() || to.is_empty() {
        return None;
    }
    Some(Step {
        full_name: name.to_owned(),
        kind: if from.is_empty() {
            OfferKind::New
        } else {
            OfferKind::Upgrade
        },
        arch: arch.trim_end_matches(']').to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        origin: origin.trim().to_owned(),
        phased: false,
    })
}

/// `NAME [OLD] [more]`
fn remove(text: &str) -> Option<Step> {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let from = rest
        .strip_prefix('[')
        .and_then(|r| r.split_once(']'))
        .map_or("", |(from, _)| from);
    (!name.is_empty()).then(|| Step {
        full_name: name.to_owned(),
        kind: OfferKind::Remove,
        from: from.to_owned(),
        ..Step::default()
    })
}

/// `NAME (OLD => NEW)`; or, of an apt that does not tell versions, `NAME NAME…`.
fn kept(text: &str, phased: bool, out: &mut Vec<Step>) {
    let mut push = |name: &str, from: &str, to: &str| {
        if !name.is_empty() {
            out.push(Step {
                full_name: name.to_owned(),
                kind: OfferKind::Deferred,
                from: from.to_owned(),
                to: to.to_owned(),
                phased,
                ..Step::default()
            });
        }
    };
    match text.split_once(" (") {
        Some((name, versions)) => {
            let versions = versions.trim_end_matches(')');
            let (from, to) = versions.split_once(" => ").unwrap_or((versions, ""));
            push(name, from, to);
        }
        None => text
            .split_whitespace()
            .for_each(|name| push(name.trim_end_matches('*'), "", "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Step {
        parse(line).unwrap().remove(0)
    }

    #[test]
    fn lines_of_apt_are_read() {
        let s = one(
            "Inst libc6:i386 [2.36-9] (2.36-9+deb12u1 Debian:12.1/stable, Debian-Security:12/stable-security [i386]) [libc6:amd64 on libc6:i386]",
        );
        assert_eq!((s.name(), s.arch.as_str()), ("libc6", "i386"));
        assert_eq!(
            s.origin,
            "Debian:12.1/stable, Debian-Security:12/stable-security"
        );
        let s = one("Inst fresh (1.0-1 Vendor (beta):12/main [all])");
        assert_eq!((s.kind, s.to.as_str()), (OfferKind::New, "1.0-1"));
        assert_eq!(s.origin, "Vendor (beta):12/main");
        let s = one("Inst local [1] (1:2~a [amd64])");
        assert_eq!((s.to.as_str(), s.origin.as_str()), ("1:2~a", ""));
        let s = one("Remv old [1.0-1] [other:amd64 ]");
        assert_eq!((s.kind, s.from.as_str()), (OfferKind::Remove, "1.0-1"));
        assert!(parse("Inst broken").is_err());
        assert!(parse("Inst broken [1").is_err());
    }

    #[test]
    fn what_is_deferred_comes_last_and_once() {
        let s = parse(
            "The following packages have been kept back:
   held (1.0-1 => 2.0-1)
   phased (1 => 2)
The following upgrades have been deferred due to phasing:
   phased (1 => 2)
The following packages will be upgraded:
   app (1.0-1 => 2.0-1)
Inst app [1.0-1] (2.0-1 Debian:12/stable [all])",
        )
        .unwrap();
        let short: Vec<_> = s
            .iter()
            .map(|s| (s.name(), s.to.as_str(), s.phased))
            .collect();
        assert_eq!(
            short,
            [
                ("app", "2.0-1", false),
                ("held", "2.0-1", false),
                ("phased", "2", true)
            ]
        );
        let old = parse("The following packages have been kept back:\n  a b\n  c").unwrap();
        assert_eq!(old.len(), 3);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(Inst |Remv |a |\\[|\\]|\\(|\\)| => |  |Not upgrading:|\n|.){0,60}") {
            let _ = parse(&text);
        }
    }
}
