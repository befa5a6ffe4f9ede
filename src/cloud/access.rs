//! Which endpoints and credentials the clients use, and at what pace the drill waits.

use secrecy::SecretString;

/// Where the services are, and how they are spoken to. Default: AWS itself.
#[derive(Clone, Debug)]
pub struct Access {
    /// Instead of AWS's own endpoints: a double, for tests. The report says so.
    pub endpoint: Option<String>,
    /// For S3 alone; default: `endpoint`.
    pub s3_endpoint: Option<String>,
    /// For EC2 alone; default: `endpoint`.
    pub ec2_endpoint: Option<String>,
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
            ec2_endpoint: None,
            keys: None,
            pace: 1.0,
        }
    }
}

/// Set by tests and by the demonstration only.
pub const PACE_VARIABLE: &str = "SEAWALL_TEST_PACE";

impl Access {
    /// What the environment says: `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL_EC2`, and the pace.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Access {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Access {
            endpoint: set("AWS_ENDPOINT_URL"),
            s3_endpoint: set("AWS_ENDPOINT_URL_S3"),
            ec2_endpoint: set("AWS_ENDPOINT_URL_EC2"),
            keys: None,
            pace: set(PACE_VARIABLE)
                .and_then(|text| text.parse().ok())
                .filter(|pace: &f64| pace.is_finite() && *pace >= 1.0)
                .unwrap_or(1.0),
        }
    }

    /// Where S3 is, if it is not AWS's own.
    pub fn s3(&self) -> Option<&str> {
        self.s3_endpoint.as_deref().or(self.endpoint.as_deref())
    }

    /// Where EC2 is, if it is not AWS's own.
    pub fn ec2(&self) -> Option<&str> {
        self.ec2_endpoint.as_deref().or(self.endpoint.as_deref())
    }

    /// Every place that was named instead of AWS's own.
    pub fn doubles(&self) -> impl Iterator<Item = &str> {
        [&self.endpoint, &self.s3_endpoint, &self.ec2_endpoint]
            .into_iter()
            .filter_map(|url| url.as_deref())
    }

    /// Whether something other than AWS answers.
    pub fn is_double(&self) -> bool {
        self.doubles().next().is_some() || self.pace > 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_where_the_services_are_and_a_pace_below_one_is_none() {
        let with = |pairs: &'static [(&str, &str)]| {
            Access::from_env(|name| {
                let found = pairs.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let plain = with(&[]);
        assert!(!plain.is_double() && plain.s3().is_none() && plain.pace == 1.0);
        let double = with(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]);
        assert!(double.is_double());
        assert_eq!(double.s3(), Some("http://127.0.0.1:1"));
        let s3 = with(&[
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2"),
            ("AWS_ENDPOINT_URL", ""),
        ]);
        assert!(s3.is_double() && s3.endpoint.is_none());
        let ec2 = with(&[
            ("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:3"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ]);
        assert!(ec2.is_double());
        assert_eq!(ec2.ec2(), Some("http://127.0.0.1:3"));
        assert_eq!(ec2.s3(), Some("http://127.0.0.1:1"));
        assert_eq!(ec2.doubles().count(), 2);
        for (text, pace) in [
            ("600", 600.0),
            ("0.1", 1.0),
            ("-5", 1.0),
            ("inf", 1.0),
            ("x", 1.0),
        ] {
            let read = Access::from_env(|name| (name == PACE_VARIABLE).then(|| text.to_owned()));
            assert_eq!(read.pace, pace, "{text}");
            assert_eq!(read.is_double(), pace > 1.0);
        }
    }
}
