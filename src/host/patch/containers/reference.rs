//! References to images: where they lie, what tag they bear, whether they can move. Pure.

/// A reference, taken apart as docker does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// With its registry written out: `docker.io/library/nginx`.
    pub repository: String,
    /// As it was written, without tag and digest: `nginx`.
    pub written: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl Reference {
    /// `None`: it names an image's id, or nothing that a registry could know.
    pub fn parse(text: &str) -> Option<Reference> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        if text.is_empty()
            || text.len() > 512
            || !text.chars().all(plain)
            || text.starts_with("sha256:")
            || text.starts_with('-')
        {
            return None;
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(checked_digest(digest)?)),
            None => (text, None),
        };
        // A colon behind the last slash is a tag; before it, a port.
        let start = name.rfind('/').map_or(0, |slash| slash + 1);
        let (written, tag) = match name.get(start..)?.split_once(':') {
            Some((last, tag)) if !tag.is_empty() => {
                (name.get(..start + last.len())?, Some(tag.to_owned()))
            }
            Some(_) => return None,
            None => (name, None),
        };
        if written.is_empty() || written.contains('@') {
            return None;
        }
        let repository = match written.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => {
                match written.strip_prefix("docker.io/") {
                    Some(rest) if !rest.contains('/') => format!("docker.io/library/{rest}"),
                    _ => written.to_owned(),
                }
            }
            Some(_) => format!("docker.io/{written}"),
            None => format!("docker.io/library/{written}"),
        };
        Some(Reference {
            repository,
            written: written.to_owned(),
            tag,
            digest,
        })
    }

    /// Whether its tag says nothing of what is meant.
    pub fn is_latest(&self) -> bool {
        matches!(self.tag.as_deref(), None | Some("latest"))
    }
}

/// `sha256:` and 64 hexadecimal digits, or nothing.
pub(super) fn checked_digest(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    let good = hex.len() == 64
        && hex
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    good.then(|| text.to_owned())
}

/// The digests under which an image is known in the reference's own repository.
pub(super) fn digests_of(reference: &Reference, repo_digests: &[String]) -> Vec<String> {
    repo_digests
        .iter()
        .filter_map(|known| Reference::parse(known))
        .filter(|known| known.repository == reference.repository)
        .filter_map(|known| known.digest)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart_as_docker_does_it() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, repository, tag) in [
            ("nginx", "docker.io/library/nginx", None),
            ("nginx:1.25", "docker.io/library/nginx", Some("1.25")),
            ("docker.io/nginx:1", "docker.io/library/nginx", Some("1")),
            ("me/app:2", "docker.io/me/app", Some("2")),
            ("localhost/app:2", "localhost/app", Some("2")),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app", None),
            ("127.0.0.1:5000/a/b:9", "127.0.0.1:5000/a/b", Some("9")),
        ] {
            let parsed = Reference::parse(text).expect(text);
            assert_eq!(parsed.repository, repository, "{text}");
            assert_eq!(parsed.tag.as_deref(), tag, "{text}");
            assert_eq!(parsed.digest, None);
        }
        let pinned = Reference::parse(&format!("nginx:1@{digest}")).expect("pinned");
        assert_eq!(pinned.digest, Some(digest.clone()));
        assert_eq!(pinned.written, "nginx");
        for bad in [
            "",
            &digest,
            "a b",
            "-x",
            "nginx:",
            "nginx@sha256:12",
            "$(x)",
        ] {
            assert_eq!(Reference::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_digest_counts_only_in_its_own_repository() {
        let (ours, theirs) = (
            format!("sha256:{}", "a1".repeat(32)),
            format!("sha256:{}", "b2".repeat(32)),
        );
        let known = vec![
            format!("mirror.example/nginx@{theirs}"),
            format!("nginx@{ours}"),
        ];
        let reference = Reference::parse("docker.io/library/nginx:1").expect("a reference");
        assert_eq!(digests_of(&reference, &known), vec![ours]);
    }
}
