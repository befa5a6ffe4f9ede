//! What is wrong with a request, and how each service says it. The codes are those of the services'
//! pages of common errors and of their models.

use super::super::model::{Model, Protocol};
use super::super::sigv4::Unbelieved;
use super::super::world::Refusal;

/// Paths are those of the model: `Filters[0].Name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    Operation(String),
    Malformed(String),
    Missing(String),
    Unknown(String),
    Type {
        path: String,
        wanted: String,
    },
    Value {
        path: String,
        value: String,
        why: String,
    },
}

/// As the service of this name in a signature's scope says it.
pub fn refusal(service: &str, problem: &Problem) -> Refusal {
    let (code, message) = match problem {
        Problem::Operation(name) => {
            let code = match service {
                "ec2" | "rds" | "sts" => "InvalidAction",
                _ => "UnknownOperationException",
            };
            let message = format!("The action {name} is not valid for this web service.");
            return Refusal::new(if service == "backup" { 404 } else { 400 }, code, message);
        }
        Problem::Malformed(why) => (malformed(service), why.clone()),
        Problem::Missing(path) => (
            missing(service),
            format!("The request must contain the parameter {path}: Member must not be null"),
        ),
        Problem::Unknown(path) => (
            unknown(service),
            format!("The parameter {path} is not recognized"),
        ),
        Problem::Type { path, wanted } => (
            malformed(service),
            format!("The parameter {path} has to be of type {wanted}"),
        ),
        Problem::Value { path, value, why } => (
            invalid(service),
            format!(
                "1 validation error detected: Value '{value}' at '{path}' failed to satisfy \
                 constraint: {why}"
            ),
        ),
    };
    Refusal::new(400, code, message)
}

fn invalid(service: &str) -> &'static str {
    match service {
        "backup" => "InvalidParameterValueException",
        "ec2" | "rds" => "InvalidParameterValue",
        "elasticfilesystem" => "BadRequest",
        "servicequotas" => "IllegalArgumentException",
        "sts" => "ValidationError",
        _ => "ValidationException",
    }
}

fn missing(service: &str) -> &'static str {
    match service {
        "backup" => "MissingParameterValueException",
        "ec2" | "rds" => "MissingParameter",
        other => invalid(other),
    }
}

/// The JSON services overlook what they do not know; this double does not, because nothing that a
/// drill sends should be overlooked.
fn unknown(service: &str) -> &'static str {
    match service {
        "ec2" => "UnknownParameter",
        other => invalid(other),
    }
}

fn malformed(service: &str) -> &'static str {
    match service {
        "dynamodb" | "kms" | "servicequotas" => "SerializationException",
        other => invalid(other),
    }
}

/// Errors that any operation gives, whatever its model declares.
const COMMON: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalFailure",
    "InvalidAction",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "OptInRequired",
    "RequestExpired",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "UnknownOperationException",
    "UnsupportedOperation",
    "ValidationError",
    "ValidationException",
];

/// A handler's error that the service would not give: a mistake in the handler.
pub fn undeclared(model: &Model, operation: &str, code: &str) -> bool {
    // EC2's model declares none.
    model.metadata.protocol != Protocol::Ec2
        && !COMMON.contains(&code)
        && model.declared_error(operation, code).is_none()
}

/// The service's own words for too many requests. The status is the model's where it has one.
pub fn throttled(model: &Model, operation: &str) -> Refusal {
    if model.metadata.protocol == Protocol::Ec2 {
        return Refusal::new(503, "RequestLimitExceeded", "Request limit exceeded.");
    }
    let declared = model.declared_error(operation, "ThrottlingException");
    let status = declared.and_then(|(_, status)| status).unwrap_or(400);
    Refusal::new(status, "ThrottlingException", "Rate exceeded")
}

pub fn unavailable(model: &Model, operation: &str) -> Refusal {
    let own = match model.metadata.protocol {
        Protocol::Ec2 => "Unavailable",
        Protocol::RestJson
            if model
                .declared_error(operation, "ServiceUnavailableException")
                .is_some() =>
        {
            "ServiceUnavailableException"
        }
        _ => "ServiceUnavailable",
    };
    Refusal::new(
        503,
        own,
        "The service is unavailable. Please try again shortly.",
    )
}

/// Temporary credentials that have come to their end.
pub fn expired(protocol: Protocol) -> Refusal {
    let message = "The security token included in the request is expired";
    match protocol {
        Protocol::Ec2 => Refusal::new(400, "RequestExpired", "Request has expired."),
        Protocol::Query => Refusal::new(403, "ExpiredToken", message),
        Protocol::RestJson => Refusal::new(403, "ExpiredTokenException", message),
        Protocol::Json => Refusal::new(400, "ExpiredTokenException", message),
    }
}

/// A signature that is not believed.
pub fn unbelieved(protocol: Protocol, why: &Unbelieved) -> Refusal {
    if protocol == Protocol::Ec2 && !matches!(why, Unbelieved::Missing) {
        let message = "AWS was not able to validate the provided access credentials";
        return Refusal::new(401, "AuthFailure", message);
    }
    let (code, query_code, message) = match why {
        Unbelieved::Missing => (
            "MissingAuthenticationTokenException",
            "MissingAuthenticationToken",
            "Request is missing Authentication Token".to_owned(),
        ),
        Unbelieved::Malformed(what) => (
            "IncompleteSignatureException",
            "IncompleteSignature",
            format!("The signature cannot be read: {what}"),
        ),
        Unbelieved::UnknownKey(_) => (
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "The security token included in the request is invalid.".to_owned(),
        ),
        Unbelieved::Wrong(_) => (
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided."
                .to_owned(),
        ),
    };
    match protocol {
        Protocol::Query | Protocol::Ec2 => Refusal::new(403, query_code, message),
        Protocol::RestJson => Refusal::new(403, code, message),
        Protocol::Json => Refusal::new(400, code, message),
    }
}
