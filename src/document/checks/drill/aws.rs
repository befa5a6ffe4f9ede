//! Steps of a drill in AWS: what was backed up and where, what it becomes, and how its instances
//! are reached.

use std::ops::Range;

use super::super::super::spans::Node;
use super::aws_scratch::{Arn, is_account, is_region};
use super::{DrillCheck, StepNode, given};

/// What a recovery point is restored as. `fresh` is restored from nothing.
pub(super) const KINDS: &[&str] = &[
    "volume", "instance", "fresh", "rds", "aurora", "s3", "dynamodb", "efs",
];

const VOLUME_TYPES: &[&str] = &["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"];
const AURORA_ENGINES: &[&str] = &["aurora-postgresql", "aurora-mysql"];

/// The one kind that is there.
pub(super) fn kind(aws: &Node) -> Option<&'static str> {
    let mut there = (KINDS.iter().copied()).filter(|kind| given(aws, kind).is_some());
    let first = there.next();
    first.filter(|_| there.next().is_none())
}

/// How a step's instance is logged in to, on which step's instance its data can be looked at, and
/// whether it has files there.
pub(super) fn whereabouts<'a>(
    node: &'a Node,
    name: &'a str,
) -> (Option<&'a Node>, Option<&'a str>, bool) {
    let onto = given(node, "restore").and_then(|restore| restore.text_at("onto"));
    if let Some((onto, _)) = onto {
        return (None, Some(onto), true);
    }
    let Some(aws) = given(node, "aws") else {
        return (None, None, false);
    };
    let of = |kind: &str, key: &str| given(aws, kind).and_then(|node| given(node, key));
    if let Some(ssh) = of("instance", "ssh").or_else(|| of("fresh", "ssh")) {
        return (Some(ssh), Some(name), false);
    }
    if let Some(attach) = of("volume", "attach") {
        let to = attach.text_at("to").map(|(to, _)| to);
        return (None, to, given(attach, "mount").is_some());
    }
    let mount = of("efs", "mount");
    let on = mount.and_then(|mount| mount.text_at("on"));
    (None, on.map(|(on, _)| on), mount.is_some())
}

/// The service and the beginning of the rest that an ARN of what was backed up has.
fn form(kind: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match kind {
        "volume" => ("ec2", "volume/", "arn:aws:ec2:REGION:ACCOUNT:volume/vol-…"),
        "instance" => (
            "ec2",
            "instance/",
            "arn:aws:ec2:REGION:ACCOUNT:instance/i-…",
        ),
        "rds" => ("rds", "db:", "arn:aws:rds:REGION:ACCOUNT:db:NAME"),
        "aurora" => ("rds", "cluster:", "arn:aws:rds:REGION:ACCOUNT:cluster:NAME"),
        "s3" => ("s3", "", "arn:aws:s3:::BUCKET"),
        "dynamodb" => (
            "dynamodb",
            "table/",
            "arn:aws:dynamodb:REGION:ACCOUNT:table/NAME",
        ),
        "efs" => (
            "elasticfilesystem",
            "file-system/",
            "arn:aws:elasticfilesystem:REGION:ACCOUNT:file-system/fs-…",
        ),
        _ => return None,
    })
}

impl<'a> DrillCheck<'a> {
    pub(super) fn aws_step(&mut self, aws: &'a Node, step: &StepNode<'a>, what: &str) {
        let Some(kind) = self.check.one_of(what, aws, KINDS) else {
            return;
        };
        self.source(aws, kind);
        self.pick(aws, kind);
        if let Some((wait, span)) = aws.text_at("wait")
            && wait == "initialised"
            && !matches!(kind, "volume" | "instance" | "fresh")
        {
            let message = "no service says of this when all of its data has come";
            self.check.error("bad-wait", span, message).help =
                Some("leave `wait` away: only volumes and instances say it".into());
        }
        let Some(node) = aws.get(kind) else {
            return;
        };
        match kind {
            "volume" => self.volume(node, step),
            "instance" | "fresh" => self.instance(node, kind),
            "aurora" => self.aurora(node),
            "s3" => self.restore_time(node),
            "efs" => {
                if let Some(mount) = given(node, "mount") {
                    self.at_step(mount, "on", step);
                    self.mount_path(mount, "path");
                }
            }
            _ => {}
        }
    }

    /// What was backed up, by its ARN in the lost region.
    fn source(&mut self, aws: &'a Node, kind: &str) {
        let resource = aws.text_at("resource");
        let Some((service, begins, example)) = form(kind) else {
            if let Some((_, span)) = resource {
                let message = "a fresh instance is restored from nothing";
                self.check.error("bad-arn", span, message).help =
                    Some("leave `resource` away, or write `instance` instead of `fresh`".into());
            }
            return;
        };
        let Some((text, span)) = resource else {
            let message = "it does not say what was backed up";
            self.check.error("no-resource", &aws.head(), message).help = Some(format!(
                "add `resource: {example}`, as it was in the lost region"
            ));
            return;
        };
        let is_bucket = kind == "s3";
        let arn = Arn::of(text).filter(|arn| {
            arn.service == service
                && arn
                    .rest
                    .strip_prefix(begins)
                    .is_some_and(|name| !name.is_empty())
                && match is_bucket {
                    true => arn.region.is_empty() && arn.account.is_empty(),
                    false => is_account(arn.account) && is_region(arn.region),
                }
        });
        let Some(arn) = arn else {
            let message = format!("`{text}` is not what becomes `{kind}`");
            self.check.error("bad-arn", span, message).help = Some(format!("as in {example}"));
            return;
        };
        let lost = self.lost("regions");
        if !is_bucket && !lost.is_empty() && !lost.iter().any(|(region, _)| *region == arn.region) {
            let message = format!("{} is not lost in this drill", arn.region);
            let places: Vec<_> = lost
                .iter()
                .map(|(_, at)| (self.check.document.place(at), "lost".to_owned()))
                .collect();
            let error = self.check.error("not-lost", span, message);
            error.related.extend(places);
            error.help =
                Some("what is left needs no recovery: is it another region's, or not lost?".into());
        }
    }

    fn pick(&mut self, aws: &Node, kind: &str) {
        let Some((pick, span)) = aws.text_at("pick") else {
            return;
        };
        if kind == "fresh" {
            let message = "a fresh instance has no recovery points to pick from";
            self.check.error("bad-pick", span, message).help = Some("leave `pick` away".into());
            return;
        }
        if matches!(pick, "latest" | "random") {
            return;
        }
        let region = self.aws.and_then(|aws| aws.text_at("region"));
        let region = region.map_or("", |(region, _)| region);
        match Arn::of(pick) {
            None => {
                let message = format!("`{pick}` picks nothing");
                self.check.error("bad-pick", span, message).help =
                    Some("`latest`, `random`, or the ARN of a recovery point".into());
            }
            Some(arn) if !region.is_empty() && arn.region != region => {
                let message = "this recovery point is not in the scratch's region";
                self.check.error("bad-pick", span, message).help = Some(format!(
                    "take a copy in {region}: a restore happens where the recovery point is"
                ));
            }
            Some(_) => {}
        }
    }

    fn volume(&mut self, node: &'a Node, step: &StepNode<'a>) {
        if let Some((rate, span)) = node.text_at("initialisation_rate") {
            let by = node.text_at("by").map_or("backup", |(by, _)| by);
            if by != "ec2" {
                let message = "AWS Backup knows no initialisation rate";
                self.check.error("bad-rate", span, message).help =
                    Some("add `by: ec2`: the volume is made of the point's snapshot".into());
            } else if !rate.parse::<u32>().is_ok_and(|r| (100..=300).contains(&r)) {
                let message = format!("EC2 takes no initialisation rate of {rate}");
                self.check.error("bad-rate", span, message).help =
                    Some("100 to 300, in MiB/s".into());
            }
        }
        if let Some((kind, span)) = node.text_at("type") {
            self.check
                .known("type of volume", kind, span, VOLUME_TYPES.iter().copied());
        }
        let Some(attach) = given(node, "attach") else {
            return;
        };
        self.at_step(attach, "to", step);
        if let Some((device, span)) = attach.text_at("device")
            && device.strip_prefix("/dev/").is_none_or(str::is_empty)
        {
            let message = format!("`{device}` is no name for a device");
            self.check.error("bad-device", span, message).help = Some("as in /dev/sdf".into());
        }
        self.mount_path(attach, "mount");
        if let Some((partition, span)) = attach.text_at("partition") {
            if partition == "0" {
                let message = "partitions are counted from 1";
                self.check.error("bad-device", span, message);
            } else if given(attach, "mount").is_none() {
                let message = "this partition is not mounted anywhere";
                self.check.error("bad-device", span, message).help =
                    Some("add `mount: /PATH`, or take `partition` away".into());
            }
        }
    }

    /// A path on an instance that is nobody else's.
    fn mount_path(&mut self, node: &Node, key: &str) {
        let Some((path, span)) = node.text_at(key) else {
            return;
        };
        self.check.absolute("what is on an instance", path, span);
        if path.starts_with('/') && !is_own_path(path) {
            let message = format!("`{path}` is the system's own");
            self.check.error("bad-path", span, message).help =
                Some("take a directory of the drill's, e.g. /srv/restored".into());
        }
    }

    fn instance(&mut self, node: &'a Node, kind: &str) {
        let wanted = node.text_at("type");
        let mut seen = Vec::new();
        for (other, span) in wanted.into_iter().chain(node.texts_at("substitutes")) {
            let (family, size) = other.split_once('.').unwrap_or_default();
            if family.is_empty() || size.is_empty() {
                let message = format!("`{other}` is no type of instance");
                self.check.error("bad-type", span, message).help = Some("as in m7g.large".into());
            }
            self.check.unique("instance type", &mut seen, other, span);
        }
        if kind != "fresh" {
            return;
        }
        if let Some((image, span)) = node.text_at("image")
            && image.strip_prefix("ami-").is_none_or(str::is_empty)
        {
            let message = format!("`{image}` is no image");
            self.check.error("bad-image", span, message).help =
                Some("the id of one in the scratch's region, as in ami-0123456789abcdef0".into());
        }
        if let Some((disk, span)) = node.text_at("disk")
            && disk == "0"
        {
            self.check.error("bad-disk", span, "no disk is as small");
        }
    }

    fn aurora(&mut self, node: &Node) {
        if let Some((engine, span)) = node.text_at("engine")
            && self
                .check
                .known("engine", engine, span, AURORA_ENGINES.iter().copied())
            && engine == "aurora-mysql"
            && let Some(entry) = node.entry("login").filter(|e| !e.value.is_null())
        {
            let message = "`sql` proofs speak PostgreSQL, and this is MySQL";
            self.check
                .error("wrong-proof", &entry.key_span, message)
                .help =
                Some("take `login` away, and prove it with a `command` on an instance".into());
        }
        if let Some((count, span)) = node.text_at("instances")
            && !count.parse::<u32>().is_ok_and(|n| (1..=16).contains(&n))
        {
            let message = format!("a cluster with {count} instances cannot be used");
            self.check.error("bad-count", span, message).help =
                Some("1 to 16; without one nobody can connect".into());
        }
    }

    fn restore_time(&mut self, node: &Node) {
        if let Some((text, span)) = node.text_at("restore_time")
            && text.parse::<jiff::Timestamp>().is_err()
        {
            let message = format!("`{text}` is no time");
            self.check.error("bad-time", span, message).help =
                Some("as in RFC 3339, e.g. 2026-11-20T03:00:00Z".into());
        }
    }

    /// An archive of ours, unpacked on an instance.
    pub(super) fn restore_onto(&mut self, restore: &'a Node, step: &StepNode<'a>) {
        for key in ["postgresql", "repository"] {
            if let Some(entry) = restore.entry(key).filter(|e| !e.value.is_null()) {
                let message = "on an instance in AWS only files are unpacked";
                self.check
                    .error("wrong-target", &entry.key_span, message)
                    .help = Some("write `directory: /PATH`".into());
            }
        }
        self.mount_path(restore, "directory");
        if given(restore, "onto").is_none() {
            let message = "it does not say on which instance it is unpacked";
            self.check.error("no-place", &restore.head(), message).help =
                Some("add `onto: STEP`: a step with an instance that has `ssh`".into());
        }
        self.at_step(restore, "onto", step);
    }

    /// A step that is needed, and whose instance is logged in to.
    pub(super) fn at_step(&mut self, node: &'a Node, key: &str, step: &StepNode<'a>) {
        let Some((name, span)) = node.text_at(key) else {
            return;
        };
        let there = self.steps.clone();
        let names = there.iter().map(|other| other.name);
        if !self.check.known("step", name, span, names) {
            return;
        }
        let own = name == step.name;
        let has_ssh = there.iter().any(|s| s.name == name && s.ssh.is_some());
        if !has_ssh {
            let message = format!("the step `{name}` has no instance that is logged in to");
            let help = some_with_ssh(&there);
            self.check.error("no-place", span, message).help = Some(help);
        } else if !own && !self.needs.get(step.name).is_some_and(|n| n.contains(name)) {
            self.not_needed(name, span, step);
        }
    }

    fn not_needed(&mut self, name: &str, span: &Range<usize>, step: &StepNode) {
        let message = format!(
            "`{}` does not need `{name}`, so that may not be there yet",
            step.name
        );
        self.check.error("not-needed", span, message).help =
            Some(format!("add `needs: [{name}]` to the step"));
    }
}

fn some_with_ssh(steps: &[StepNode]) -> String {
    let names: Vec<&str> = (steps.iter())
        .filter(|s| s.ssh.is_some())
        .map(|s| s.name)
        .collect();
    match names.is_empty() {
        true => "add `ssh: {user: …}` to that step's instance".to_owned(),
        false => format!("there are: {}", names.join(", ")),
    }
}

/// Whether something may be mounted or unpacked there: not in place of what the system lives in.
fn is_own_path(path: &str) -> bool {
    const NEVER: &[&str] = &["boot", "dev", "proc", "run", "sys"];
    const WHOLE: &[&str] = &[
        "bin", "etc", "home", "lib", "lib32", "lib64", "opt", "root", "sbin", "tmp", "usr", "var",
    ];
    let mut parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let first = parts.next();
    !path.split('/').any(|part| part == "..")
        && first.is_some_and(|first| !NEVER.contains(&first))
        && (parts.next().is_some() || !first.is_some_and(|first| WHOLE.contains(&first)))
}

#[cfg(test)]
mod tests {
    use super::is_own_path;

    #[test]
    fn nothing_is_put_in_place_of_the_system() {
        for own in [
            "/srv",
            "/mnt",
            "/data",
            "/var/lib/shop",
            "/etc/nginx",
            "/tmp/x",
        ] {
            assert!(is_own_path(own), "{own}");
        }
        for system in [
            "/",
            "//",
            "/.",
            "/etc",
            "/usr/",
            "/var",
            "/srv/../etc",
            "/proc/x",
            "/dev/sdf",
        ] {
            assert!(!is_own_path(system), "{system}");
        }
    }
}
