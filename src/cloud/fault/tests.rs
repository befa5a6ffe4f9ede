use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;

use super::*;

/// An operation's error, as the SDK's own are.
#[derive(Debug)]
struct Said(ErrorMetadata);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unhandled error")
    }
}

impl Error for Said {}

impl ProvideErrorMetadata for Said {
    fn meta(&self) -> &ErrorMetadata {
        &self.0
    }
}

fn answered(status: u16, code: Option<&str>, message: Option<&str>) -> Fault {
    let mut meta = ErrorMetadata::builder();
    if let Some(code) = code {
        meta = meta.code(code);
    }
    if let Some(message) = message {
        meta = meta.message(message);
    }
    let status = StatusCode::try_from(status).unwrap();
    let raw = HttpResponse::new(status, SdkBody::empty());
    Fault::of("starting", SdkError::service_error(Said(meta.build()), raw))
}

#[test]
fn codes_of_all_services_are_known_for_what_they_are() {
    use FaultKind::*;
    for (code, status, kind) in [
        ("RequestLimitExceeded", 503, Throttled),
        ("ThrottlingException", 400, Throttled),
        ("Throttling", 400, Throttled),
        ("TooManyRequestsException", 429, Throttled),
        ("SlowDown", 503, Throttled),
        ("InsufficientInstanceCapacity", 500, Capacity),
        ("Unsupported", 400, Capacity),
        ("InsufficientDBInstanceCapacity", 400, Capacity),
        ("InsufficientDBClusterCapacityFault", 403, Capacity),
        ("VcpuLimitExceeded", 400, Quota),
        ("VpcLimitExceeded", 400, Quota),
        ("LimitExceededException", 400, Quota),
        ("DBClusterQuotaExceededFault", 403, Quota),
        ("InstanceQuotaExceeded", 400, Quota),
        ("FileSystemLimitExceeded", 403, Quota),
        ("TooManyBuckets", 400, Quota),
        ("InvalidVolume.NotFound", 400, NotFound),
        ("InvalidInstanceID.NotFound", 400, NotFound),
        ("InvalidAMIID.Unavailable", 400, NotFound),
        ("ResourceNotFoundException", 400, NotFound),
        ("DBInstanceNotFound", 404, NotFound),
        ("DBClusterNotFoundFault", 404, NotFound),
        ("FileSystemNotFound", 404, NotFound),
        ("NoSuchBucket", 404, NotFound),
        ("NoSuchResourceException", 400, NotFound),
        ("NotFoundException", 400, NotFound),
        ("InvalidGroup.Duplicate", 400, Exists),
        ("InvalidKeyPair.Duplicate", 400, Exists),
        ("AlreadyExistsException", 400, Exists),
        ("DBSubnetGroupAlreadyExists", 400, Exists),
        ("DBClusterAlreadyExistsFault", 400, Exists),
        ("BucketAlreadyOwnedByYou", 409, Exists),
        ("MountTargetConflict", 409, Exists),
        ("RouteAlreadyExists", 400, Exists),
        ("DependencyViolation", 400, Dependency),
        ("VolumeInUse", 400, Dependency),
        ("InvalidSnapshot.InUse", 400, Dependency),
        ("BucketNotEmpty", 409, Dependency),
        ("FileSystemInUse", 409, Dependency),
        ("InvalidDBSubnetGroupStateFault", 400, Dependency),
        ("IncorrectState", 400, Later),
        ("IncorrectInstanceState", 400, Later),
        ("InvalidDBInstanceState", 400, Later),
        ("InvalidDBClusterStateFault", 400, Later),
        ("ResourceInUseException", 400, Later),
        ("ConflictException", 400, Later),
        ("InvalidResourceStateException", 400, Later),
        ("IncorrectFileSystemLifeCycleState", 409, Later),
        ("ExpiredToken", 400, Expired),
        ("ExpiredTokenException", 403, Expired),
        ("RequestExpired", 400, Expired),
        ("AccessDenied", 403, Denied),
        ("AccessDeniedException", 400, Denied),
        ("UnauthorizedOperation", 403, Denied),
        ("AuthFailure", 401, Denied),
        ("KMSKeyNotAccessibleFault", 400, Denied),
        ("ServiceUnavailableException", 500, Passing),
        ("ServiceUnavailable", 503, Passing),
        ("InternalError", 500, Passing),
        ("InternalServerError", 500, Passing),
        ("DependencyFailureException", 500, Passing),
        ("Server.InternalError", 500, Passing),
        ("InvalidRequestException", 400, Ours),
        ("InvalidParameterValueException", 400, Ours),
        ("MissingParameterValueException", 400, Ours),
        ("InvalidParameterCombination", 400, Ours),
        ("IdempotentParameterMismatch", 400, Ours),
        ("ValidationError", 400, Ours),
        ("DryRunOperation", 412, Ours),
        // Codes that nobody knows are judged by the status.
        ("Novelty", 500, Passing),
        ("Novelty", 429, Throttled),
        ("Novelty", 403, Denied),
        ("Novelty", 404, NotFound),
        ("Novelty", 400, Ours),
    ] {
        let fault = answered(status, Some(code), Some("so it is"));
        assert_eq!(fault.kind, kind, "{code} {status}");
        assert_eq!(fault.code.as_deref(), Some(code));
        assert!(fault.refused.is_none());
    }
    assert_eq!(answered(502, None, None).kind, Passing);
    assert_eq!(answered(400, None, None).kind, Ours);
}

#[test]
fn a_fault_says_what_was_done_what_went_wrong_and_what_to_do() {
    let fault = answered(403, Some("AccessDenied"), Some("no\u{1b}[31m\nway"));
    let text = fault.to_string();
    assert!(text.starts_with("starting: AccessDenied: "), "{text}");
    assert!(text.contains("docs/iam"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\n'), "{text}");
    let long = answered(400, Some("X"), Some(&"y".repeat(5000)));
    assert!(long.message.chars().count() <= 510);
}

fn dispatch(error: ConnectorError) -> Fault {
    Fault::of::<Said>("asking", SdkError::dispatch_failure(error))
}

#[test]
fn what_never_came_back_may_pass_and_what_the_guard_refused_does_not() {
    let passing = [
        dispatch(ConnectorError::io("connection reset".into())),
        dispatch(ConnectorError::timeout("connect".into())),
        dispatch(ConnectorError::other("tls".into(), None)),
        Fault::of::<Said>("asking", SdkError::timeout_error("30 s")),
    ];
    for fault in passing {
        assert_eq!(fault.kind, FaultKind::Passing, "{fault}");
        assert!(fault.passes());
    }
    let what = "ec2.eu-west-1.amazonaws.com: it is in eu-west-1, which is lost";
    let fault = dispatch(ConnectorError::user(Refused(what.into()).into()));
    assert_eq!(fault.kind, FaultKind::Guarded);
    assert_eq!(fault.refused.as_deref(), Some(what));
    assert!(!fault.passes());
    assert_eq!(StepError::from(fault).refused.as_deref(), Some(what));
    let fault = dispatch(ConnectorError::other(
        "no credentials in the chain".into(),
        None,
    ));
    assert_eq!(fault.kind, FaultKind::Denied);
    let fault = dispatch(ConnectorError::other(
        "the SSO token has expired".into(),
        None,
    ));
    assert_eq!(fault.kind, FaultKind::Expired);
    let fault = Fault::of::<Said>(
        "asking",
        SdkError::construction_failure("a field is missing"),
    );
    assert_eq!(fault.kind, FaultKind::Ours);
}

#[test]
fn status_messages_of_restore_jobs_are_told_apart() {
    for (text, kind) in [
        (
            "IAM Role cannot be assumed by AWS Backup.",
            StatusKind::Role,
        ),
        ("Access denied to KMS key.", StatusKind::KeyDenied),
        (
            "The specified AWS KMS key ARN does not exist, is not enabled or you do not have \
             permissions to access it.",
            StatusKind::KeyMissing,
        ),
        ("No default VPC for this user", StatusKind::Network),
        ("No subnets found for the default VPC", StatusKind::Network),
        ("No default subnet detected in VPC", StatusKind::Network),
        (
            "We currently do not have sufficient m7g.large capacity for this instance type",
            StatusKind::Capacity,
        ),
        (
            "You have requested more vCPU capacity than your current vCPU limit; quota",
            StatusKind::Quota,
        ),
        ("Access Denied", StatusKind::Denied),
        ("3 objects failed to be restored", StatusKind::Partial),
        ("Internal failure. Please try again.", StatusKind::Passing),
        ("Something else", StatusKind::Unknown),
    ] {
        assert_eq!(classify_status_message(text), kind, "{text}");
        assert!(kind.advice().len() > 20);
    }
}
