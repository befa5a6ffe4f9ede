//! Whether a request may be sent: by the host that it goes to, and by the region in its signature.
//! Pure.

/// What may be spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Nothing may go there.
    pub lost: Vec<String>,
    /// The scratch's region: the one that requests go to.
    pub region: String,
    /// `host[:port]` of doubles that were named on purpose. One in AWS's own domains is none.
    pub doubles: Vec<String>,
}

/// A request, as far as the guard looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    pub method: &'a str,
    /// With the port, if there is one.
    pub host: &'a str,
    pub path: &'a str,
    /// `x-amz-target` of JSON services; `Action` of query services is in the body, and not looked
    /// at.
    pub target: Option<&'a str>,
    /// From the signature's scope: `eu-central-1`, `backup`. None: it is not signed.
    pub region: Option<&'a str>,
    pub service: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Shown in the report: `backup.eu-central-1.amazonaws.com`.
    Allowed(String),
    /// Why, in a sentence.
    Refused(String),
}

/// Where a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Named on purpose, instead of AWS.
    Double,
    /// On this machine or its hypervisor: where instances and containers get credentials.
    CredentialSource,
    /// AWS, in a region.
    Aws {
        region: String,
        global: bool,
    },
    Unknown,
}

/// Where the control planes of global services live (AWS Fault Isolation Boundaries).
const GLOBAL: &str = "us-east-1";

/// AWS's own domains; the second says where its global services are.
const DOMAINS: [(&str, &str); 4] = [
    (".amazonaws.com", GLOBAL),
    (".api.aws", GLOBAL),
    (".amazonaws.com.cn", "cn-north-1"),
    (".api.amazonwebservices.com.cn", "cn-north-1"),
];

/// IMDS, the containers' and EKS's credential endpoints, and a helper on this machine.
const SOURCES: [&str; 8] = [
    "169.254.169.254",
    "[fd00:ec2::254]",
    "169.254.170.2",
    "169.254.170.23",
    "[fd00:ec2::23]",
    "127.0.0.1",
    "[::1]",
    "localhost",
];

/// Whether a request may be sent. Pure.
///
/// The host and the signature's scope are both looked at: either may be wrong by itself (an
/// endpoint from the environment, a region from a profile).
pub fn judge(rules: &Rules, request: &Request<'_>) -> Judged {
    let (name, _) = split_port(request.host);
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_lost = |region: &str| {
        rules
            .lost
            .iter()
            .any(|lost| lost.eq_ignore_ascii_case(region))
    };
    let is_ours = |region: &str| rules.region.eq_ignore_ascii_case(region);
    let refused = |why: String| Judged::Refused(format!("{}: {why}", request.host));

    if is_start_copy_job(request) {
        return refused(
            "backup:StartCopyJob is never sent in a drill: it reads the lost region's vault; only \
             copies that are in the scratch's vault already count"
                .into(),
        );
    }
    if let Some(region) = request.region
        && is_lost(region)
    {
        return refused(format!("it is signed for {region}, which is lost"));
    }
    let place = place(rules, request.host, &name);
    match &place {
        Place::Unknown => {
            return refused(
                "it is no endpoint of AWS that is known, so where it is is not known; no request \
                 goes there"
                    .into(),
            );
        }
        Place::Aws { region, global } if is_lost(region) => {
            return refused(match global {
                true => format!("a global endpoint, which lives in {region}, which is lost"),
                false => format!("it is in {region}, which is lost"),
            });
        }
        // A bucket's name may look like a region; elsewhere it is a layout that is not known.
        Place::Aws { global: true, .. } if name.split('.').any(is_lost) => {
            return refused("its name holds a region that is lost".into());
        }
        Place::CredentialSource if request.region.is_some() => {
            return refused("a signed request does not go to a source of credentials".into());
        }
        Place::CredentialSource => return Judged::Allowed(request.host.to_owned()),
        Place::Double if request.region.is_none() => {
            return refused("it is not signed, so which region it is for is not known".into());
        }
        _ => {}
    }
    // Credentials may come from wherever they are kept, as long as that is not lost.
    if is_for_credentials(request) {
        return Judged::Allowed(request.host.to_owned());
    }
    if let Some(region) = request.region
        && !is_ours(region)
    {
        return refused(format!(
            "it is signed for {region}, and this drill speaks to {} alone",
            rules.region
        ));
    }
    match place {
        Place::Aws { region, global } if !is_ours(&region) => refused(format!(
            "it is in {region}{}, and this drill speaks to {} alone",
            if global { " (a global endpoint)" } else { "" },
            rules.region
        )),
        _ => Judged::Allowed(request.host.to_owned()),
    }
}

/// Whether it fetches credentials: from this machine, by SSO, or by a web identity (which is not
/// signed).
pub(super) fn is_for_credentials(request: &Request<'_>) -> bool {
    let (name, _) = split_port(request.host);
    let name = name.to_ascii_lowercase();
    if request.region.is_some() {
        return false;
    }
    let aws = DOMAINS.iter().any(|(domain, _)| name.ends_with(domain));
    let begins = |word: &str| name.starts_with(word);
    (aws && (begins("portal.sso.") || begins("oidc.") || begins("sts.") || begins("sts-fips.")))
        || SOURCES.contains(&name.as_str())
}

/// `PUT /copy-jobs` of AWS Backup; S3 has a bucket by that name at most.
fn is_start_copy_job(request: &Request<'_>) -> bool {
    let path = request.path.split('?').next().unwrap_or_default();
    let is_path = path.trim_matches('/').eq_ignore_ascii_case("copy-jobs");
    let is_s3 = request.service == Some("s3");
    let target = request.target.unwrap_or_default();
    (is_path && request.method.eq_ignore_ascii_case("PUT") && !is_s3)
        || target.ends_with(".StartCopyJob")
}

fn place(rules: &Rules, host: &str, name: &str) -> Place {
    // What is AWS's is where its name says, however it came to be asked: an endpoint that somebody
    // has set may lead to the lost region.
    let is_aws = DOMAINS.iter().any(|(domain, _)| name.ends_with(domain));
    // A URL that is read leaves out the port that its scheme implies.
    let same = |double: &String| {
        let short = (double.strip_suffix(":443")).or_else(|| double.strip_suffix(":80"));
        double.eq_ignore_ascii_case(host) || short.is_some_and(|s| s.eq_ignore_ascii_case(host))
    };
    if !is_aws && rules.doubles.iter().any(same) {
        return Place::Double;
    }
    if SOURCES.contains(&name) {
        return Place::CredentialSource;
    }
    let domain = (DOMAINS.iter()).find_map(|(domain, at)| Some((name.strip_suffix(domain)?, *at)));
    let Some((labels, at)) = domain.filter(|(labels, _)| !labels.is_empty()) else {
        return Place::Unknown;
    };
    // An interface endpoint: `vpce-0….ec2.eu-central-1.vpce`.
    let labels = labels.strip_suffix(".vpce").unwrap_or(labels);
    let last = labels.rsplit('.').next().unwrap_or(labels);
    // `s3-eu-west-1.amazonaws.com`, as it was written once.
    let last = last.strip_prefix("s3-").unwrap_or(last);
    match is_region(last) {
        true => Place::Aws {
            region: last.to_owned(),
            global: false,
        },
        false => Place::Aws {
            region: at.to_owned(),
            global: true,
        },
    }
}

/// Whether a word looks like a region: `eu-west-1`, `us-gov-west-1`, `eusc-de-east-1`.
pub fn is_region(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    (2..=3).contains(&words.len())
        && words.iter().all(letters)
        && words.first().is_some_and(|w| (2..=4).contains(&w.len()))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// `host`, `port` of `host:port`, `[v6]:port`.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port))
            if !port.contains(']') && (!name.contains(':') || name.ends_with(']')) =>
        {
            (name, Some(port))
        }
        _ => (host, None),
    }
}

/// Region and service of a signature: the `Authorization` header, or a presigned URL's
/// `X-Amz-Credential`. `set`: the header `x-amz-region-set`, where a SigV4A signature (which names
/// no region) has it. A signature that cannot be read gives a region that nothing is allowed for.
pub fn scope<'a>(authorization: &'a str, set: Option<&'a str>) -> Option<(&'a str, &'a str)> {
    const UNREADABLE: (&str, &str) = ("(unreadable)", "");
    if !authorization.starts_with("AWS4-") {
        return None;
    }
    let after = authorization
        .split_once("Credential=")
        .map(|(_, rest)| rest);
    let credential = after.and_then(|rest| rest.split([',', ' ']).next());
    let Some(credential) = credential else {
        return Some(UNREADABLE);
    };
    let parts: Vec<&str> = credential.split('/').collect();
    Some(match parts.as_slice() {
        [_, _, region, service, "aws4_request"] => (*region, *service),
        [_, _, service, "aws4_request"] => (set.unwrap_or(UNREADABLE.0), *service),
        _ => UNREADABLE,
    })
}
