//! What the StatusMessage of a restore job means. Pure.
//!
//! The texts are AWS Backup's, as its documentation and its users have them; they are not part of
//! its API and may change, so the raw text is always shown beside this.

/// What a restore job complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusKind {
    /// The restore role cannot be assumed.
    Role,
    /// The key may not be used.
    KeyDenied,
    /// The key is not there, or is disabled.
    KeyMissing,
    /// No VPC or subnet was named, and there is no default one.
    Network,
    Capacity,
    Quota,
    /// The role may not do something.
    Denied,
    /// Some of the data was not restored: the job may be COMPLETED all the same.
    Partial,
    /// The service's own trouble.
    Passing,
    Unknown,
}

impl StatusKind {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            StatusKind::Role => {
                "let backup.amazonaws.com assume the restore role, and the drill's own role pass \
                 it (iam:PassRole)"
            }
            StatusKind::KeyDenied => {
                "let the restore role use the key of the recovery point and the key that it is \
                 restored with: kms:CreateGrant, kms:GenerateDataKey and kms:Decrypt, in the \
                 role's policy and in the key's"
            }
            StatusKind::KeyMissing => {
                "look whether the key is enabled and in the scratch region, and whether the \
                 restore role may use it: kms:DescribeKey, kms:CreateGrant, kms:Decrypt"
            }
            StatusKind::Network => {
                "the restore fell back to a default VPC: name the subnet and the security group \
                 in the restore's metadata"
            }
            StatusKind::Capacity => {
                "name substitutes for the instance type in the drill, or another zone; a real \
                 recovery would have met the same"
            }
            StatusKind::Quota => "ask for a higher quota in this region before the next drill",
            StatusKind::Denied => {
                "compare the restore role's policies with those that AWS Backup publishes for \
                 restores"
            }
            StatusKind::Partial => {
                "some of the data was not restored: compare the counts with the source's, and \
                 read the job's report"
            }
            StatusKind::Passing => "it was the service's own trouble: another attempt may go well",
            StatusKind::Unknown => "look up this text in AWS Backup's documentation",
        }
    }
}

/// What a restore job's StatusMessage means.
pub fn classify_status_message(text: &str) -> StatusKind {
    let text = text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().all(|word| text.contains(word));
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let key = any(&["kms", "encryption key"]);
    if says(&["role", "assume"]) {
        StatusKind::Role
    } else if key
        && any(&[
            "does not exist",
            "not enabled",
            "disabled",
            "pending deletion",
        ])
    {
        StatusKind::KeyMissing
    } else if key
        && any(&[
            "denied",
            "permission",
            "not authorized",
            "cannot be accessed",
        ])
    {
        StatusKind::KeyDenied
    } else if any(&["no default vpc", "no subnets found", "no default subnet"]) {
        StatusKind::Network
    } else if any(&["insufficient capacity", "insufficientinstancecapacity"])
        || says(&["capacity", "instance type"])
    {
        StatusKind::Capacity
    } else if any(&["limit exceeded", "limitexceeded", "quota"]) || says(&["exceed", "limit"]) {
        StatusKind::Quota
    } else if any(&[
        "access denied",
        "accessdenied",
        "not authorized",
        "unauthorized",
    ]) {
        StatusKind::Denied
    } else if any(&["partially", "some objects", "some items", "some files"])
        || says(&["failed", "objects"])
        || says(&["not", "restored", "objects"])
    {
        StatusKind::Partial
    } else if any(&["internal", "try again", "unavailable", "timed out"]) {
        StatusKind::Passing
    } else {
        StatusKind::Unknown
    }
}
