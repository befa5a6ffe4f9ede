//! Proofs in AWS: asked of AWS itself, or carried out over SSH on an instance of this drill.

use std::ops::Range;

use super::super::super::spans::Node;
use super::super::policy::is_loopback;
use super::{DrillCheck, StepNode, given};

impl<'a> DrillCheck<'a> {
    /// Whether it can read what the step restores, and where it would be carried out.
    pub(super) fn proof_in_aws(&mut self, kind: &str, proof: &'a Node, step: &StepNode<'a>) {
        let Some(entry) = proof.entry(kind) else {
            return;
        };
        let is_archive = step.node.entry("restore").is_some();
        let (fits, help) = match kind {
            "objects" => (step.kind == Some("s3"), "it reads a restored bucket (`s3`)"),
            "items" => (
                step.kind == Some("dynamodb"),
                "it reads a restored table (`dynamodb`)",
            ),
            "manifest" | "canary" => (
                is_archive,
                "it reads an archive of ours that was unpacked (`restore`)",
            ),
            "files" => (
                step.has_files,
                "it reads what was unpacked or mounted: add `mount` to the volume or file system",
            ),
            "sql" => (
                has_login(step),
                "it reads a restored database (`rds`, `aurora`) that has a `login`",
            ),
            "git" => (
                false,
                "no repository is cloned in AWS; unpack it, and run `git fsck` as a `command`",
            ),
            _ => (true, ""),
        };
        if !fits && step.kind.is_some() {
            let message = format!("`{kind}` has nothing to read in the step `{}`", step.name);
            self.check
                .error("wrong-proof", &entry.key_span, message)
                .help = Some(help.into());
            return;
        }
        self.carried_out(kind, proof, step);
        match (kind, given(proof, kind)) {
            ("command", Some(node)) => self.reads_something(node, step),
            ("meets", Some(node)) => self.meets_the_instance(node),
            _ => {}
        }
    }

    /// On an instance that is there by then.
    fn carried_out(&mut self, kind: &str, proof: &'a Node, step: &StepNode<'a>) {
        let on = proof.entry("on").filter(|entry| !entry.value.is_null());
        if super::proofs::OF_AWS.contains(&kind) {
            if let Some(entry) = on {
                let message = format!("`{kind}` is asked of AWS itself, and of no instance");
                self.check
                    .error("wrong-proof", &entry.key_span, message)
                    .help = Some("leave `on` away".into());
            }
            return;
        }
        // Where it is unpacked or mounted is looked at in the step itself.
        let has_place = match kind {
            "sql" => false,
            // Without its `onto` an archive is wrong already.
            _ => step.place.is_some() || step.node.entry("restore").is_some(),
        };
        if let Some(entry) = on {
            self.at_step(proof, "on", step);
            let is_elsewhere = entry.value.text() != step.place;
            if is_elsewhere && matches!(kind, "manifest" | "canary" | "files") {
                let message = "what is unpacked or mounted is on another instance";
                self.check
                    .error("wrong-proof", &entry.value.span, message)
                    .help = Some("leave `on` away".into());
            }
        } else if !has_place
            && step.kind.is_some()
            && let Some(entry) = proof.entry(kind)
        {
            let message = format!("no instance is named on which `{kind}` is carried out");
            self.check.error("no-place", &entry.key_span, message).help =
                Some("add `on: STEP`: a step with an instance that has `ssh`".into());
        }
    }

    /// What is restored whole cannot be looked at empty first, so that a command which ends with 0
    /// anyhow would not be found out.
    fn reads_something(&mut self, node: &Node, step: &StepNode<'a>) {
        let has_control = step.has_files || matches!(step.kind, None | Some("fresh"));
        let demands = node
            .text_at("contains")
            .is_some_and(|(text, _)| !text.trim().is_empty());
        if !has_control && !demands {
            let message = "this command may end well without reading anything that was restored";
            self.check.error("no-proof", &node.head(), message).help =
                Some("add `contains: …`: restored data that it must print".into());
        }
    }

    fn meets_the_instance(&mut self, node: &Node) {
        for key in ["inventory", "host"] {
            if let Some(entry) = node.entry(key).filter(|e| !e.value.is_null()) {
                let message = format!("`{key}` may lead to another host than the restored one");
                self.check
                    .error("not-restored", &entry.key_span, message)
                    .help = Some("leave it away: the instance is reached as the drill does".into());
            }
        }
    }

    /// An address that is the restored one's, in a template; or the instance's own, where it is
    /// carried out on the restored one.
    pub(super) fn url_in_aws(
        &mut self,
        url: &str,
        span: &Range<usize>,
        proof: &Node,
        step: &StepNode,
    ) {
        const EXAMPLE: &str = "http://{{ steps.NAME.address }}/…";
        let on = proof.text_at("on").map(|(on, _)| on);
        let is_there = step.place.is_some() && (on.is_none() || on == step.place);
        let scheme = ["http://", "https://"]
            .iter()
            .find_map(|s| url.strip_prefix(s));
        match scheme {
            None => {
                self.check
                    .error("bad-url", span, format!("`{url}` is no URL"))
                    .help = Some(EXAMPLE.into());
            }
            Some(rest) if is_restored_address(rest) || (is_there && is_loopback(url)) => {}
            Some(_) => {
                let message =
                    "this is not the restored address: what answers there may be production";
                self.check.error("not-restored", span, message).help = Some(EXAMPLE.into());
            }
        }
    }
}

fn has_login(step: &StepNode) -> bool {
    let aws = given(step.node, "aws");
    ["rds", "aurora"].iter().any(|kind| {
        aws.and_then(|aws| given(aws, kind))
            .is_some_and(|node| given(node, "login").is_some())
    })
}

/// Whether the host of a URL (without its scheme) is nothing but `{{ steps.NAME.address }}` or
/// `.endpoint`. A port may follow.
fn is_restored_address(rest: &str) -> bool {
    let Some((inside, after)) = rest
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}"))
    else {
        return false;
    };
    let inside = inside.trim();
    let name = inside.strip_prefix("steps").unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-[]\"'".contains(c);
    let ends = [".address", ".endpoint"].iter().any(|e| name.ends_with(e));
    name.chars().all(is_plain)
        && ends
        && (after.is_empty() || after.starts_with([':', '/', '?']))
        && !after.split('/').next().unwrap_or_default().contains('@')
}

#[cfg(test)]
mod tests {
    use super::is_restored_address;

    #[test]
    fn only_a_template_is_the_restored_address() {
        for good in [
            "{{ steps.web.address }}/",
            "{{steps.web.address}}:8080/x?y",
            "{{ steps['web-1'].address }}",
            "{{ steps.db.endpoint }}:{{ steps.db.port }}/",
        ] {
            assert!(is_restored_address(good), "{good}");
        }
        for bad in [
            "www.example.org/",
            "{{ steps.web.address }}.example.org/",
            "www.example.org/{{ steps.web.address }}",
            "{{ steps.web.address }}:x@example.org/",
            "{{ 'www.example.org' or steps.web.address }}/",
            "{{ steps.web.volume }}/",
            "",
        ] {
            assert!(!is_restored_address(bad), "{bad}");
        }
    }
}
