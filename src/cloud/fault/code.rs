//! Error codes of the services that a drill speaks to. Pure.
//!
//! From the services' models and EC2's own list of error codes (its model declares none).

use super::FaultKind;

/// The kind of a service's error, by its code, else by the status of the answer.
pub(super) fn kind(code: Option<&str>, status: Option<u16>) -> FaultKind {
    if let Some(kind) = code.and_then(by_code) {
        return kind;
    }
    match status {
        Some(429) => FaultKind::Throttled,
        Some(500..) => FaultKind::Passing,
        Some(401 | 403) => FaultKind::Denied,
        Some(404) => FaultKind::NotFound,
        // Of an answer that cannot be read: a proxy's page, a cut line.
        None => FaultKind::Passing,
        _ => FaultKind::Ours,
    }
}

/// What kept a request from being sent, or its answer from coming.
pub(super) fn dispatch(user: bool, other: bool, text: &str) -> FaultKind {
    let text = text.to_ascii_lowercase();
    let says = |word: &str| text.contains(word);
    match (user, other) {
        (true, _) => FaultKind::Ours,
        (_, true) if says("credential") || says("identity") || says("token") => {
            match says("expired") {
                true => FaultKind::Expired,
                false => FaultKind::Denied,
            }
        }
        _ => FaultKind::Passing,
    }
}

fn by_code(code: &str) -> Option<FaultKind> {
    use FaultKind::*;
    let code = (code
        .strip_prefix("Client.")
        .or(code.strip_prefix("Server.")))
    .unwrap_or(code);
    // RDS says `…Fault`, JSON services `…Exception`; some say both ways.
    let stem = (code.strip_suffix("Exception"))
        .or(code.strip_suffix("Fault"))
        .unwrap_or(code);
    let named = match stem {
        "RequestLimitExceeded"
        | "Throttling"
        | "Throttled"
        | "ThrottlingError"
        | "RequestThrottled"
        | "EC2Throttled"
        | "TooManyRequests"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "ProvisionedThroughputExceeded"
        | "PriorRequestNotComplete" => Throttled,
        "ExpiredToken" | "RequestExpired" | "TokenRefreshRequired" => Expired,
        "AccessDenied"
        | "UnauthorizedOperation"
        | "Unauthorized"
        | "AuthFailure"
        | "NotAuthorized"
        | "OptInRequired"
        | "PendingVerification"
        | "Blocked"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "UnrecognizedClient"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "KMSKeyNotAccessible"
        | "KMSAccessDenied" => Denied,
        "Unsupported" | "UnsupportedHostConfiguration" | "UnsupportedAvailabilityZone" => Capacity,
        "ServiceUnavailable"
        | "Unavailable"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServer"
        | "InternalService"
        | "ServerInternal"
        | "KMSInternal"
        | "DependencyFailure"
        | "DependencyTimeout"
        | "RequestTimeout"
        | "Service" => Passing,
        "IncorrectState"
        | "IncorrectInstanceState"
        | "IncorrectModificationState"
        | "IncorrectFileSystemLifeCycleState"
        | "IncorrectMountTargetState"
        | "InvalidDBInstanceState"
        | "InvalidDBClusterState"
        | "InvalidResourceState"
        | "InvalidState"
        | "Conflict"
        | "ResourceConflict"
        | "ResourceInUse"
        | "TableInUse"
        | "OperationAborted" => Later,
        "DependencyViolation" | "BucketNotEmpty" | "InvalidDBSubnetGroupState" => Dependency,
        "InvalidAMIID.Unavailable"
        | "NoSuchResource"
        | "NoSuchBucket"
        | "NoSuchKey"
        | "NoSuchVersion"
        | "NoSuchUpload"
        | "NoSuchTagSet" => NotFound,
        "BucketAlreadyOwnedByYou" | "MountTargetConflict" | "Resource.AlreadyAssociated" => Exists,
        "TooManyBuckets" => Quota,
        _ => return by_shape(stem),
    };
    Some(named)
}

/// Codes whose words say what they are: `InvalidVpcID.NotFound`, `DBInstanceAlreadyExists`.
fn by_shape(stem: &str) -> Option<FaultKind> {
    let ends = |word: &str| stem.ends_with(word);
    Some(if ends("NotFound") {
        FaultKind::NotFound
    } else if ends("AlreadyExists") || ends(".Duplicate") {
        FaultKind::Exists
    } else if ends("InUse") {
        FaultKind::Dependency
    } else if stem.starts_with("Insufficient") && ends("Capacity") {
        FaultKind::Capacity
    } else if ends("LimitExceeded") || ends("QuotaExceeded") || ends("LimitsExceeded") {
        FaultKind::Quota
    } else {
        return None;
    })
}
