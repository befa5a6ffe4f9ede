//! Which endpoints and credentials the clients use, and at what pace the drill waits.

use secrecy::SecretString;

/// Where the services are, and how they are spoken to. Default: AWS itself.
#[derive(Clone, Debug)]
pub struct Access {
    /// Instead of AWS's own endpoints: a double, for tests. The report says so.
    pub endpoint: Option<String>,
    /// For S3 alone; default: `endpoint`.
    pub s3_endpoint: Option<String>,
    /// Default: the SDK's own order.
    pub keys: Option<Keys>,
    /// How many times shorter every wait is. More than 1 only against a double that is so much
    /// faster than AWS; the report says so.
    pub pace: f64,
}

#[derive(Clone, Debug)]
pub struct Keys {
    pub id: String,
    pub secret: SecretString,
    pub session: Option<SecretString>,
}

impl Default for Access {
    fn default() -> Self {
        Access {
            endpoint: None,
            s3_endpoint: None,
            keys: None,
            pace: 1.0,
        }
    }
}

/// Set by tests and by the demonstration only.
pub const PACE_VARIABLE: &str = "SEAWALL_TEST_PACE";

impl Access {
    /// What the environment says: `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, and the pace.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Access {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Access {
            endpoint: set("AWS_ENDPOINT_URL"),
            s3_endpoint: set("AWS_ENDPOINT_URL_S3"),
            keys: None,
            pace: set(PACE_VARIABLE)
                .and_then(|text| text.parse().ok())
                .filter(|pace: &f64| pace.is_finite() && *pace >= 1.0)
                .unwrap_or(1.0),
        }
    }

    /// Whether something other than AWS answers.
    pub fn is_double(&self) -> bool {
        self.endpoint.is_some() || self.s3_endpoint.is_some() || self.pace > 1.0
    }
}
