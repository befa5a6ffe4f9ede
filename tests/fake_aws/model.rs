//! The published service models, as botocore ships them: operations, shapes, limits. Each is read once
//! per process.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use regex::Regex;
use serde::Deserialize;

/// The service in a signature's scope, and its folder among the models.
pub const SERVICES: &[(&str, &str)] = &[
    ("backup", "backup"),
    ("ec2", "ec2"),
    ("rds", "rds"),
    ("dynamodb", "dynamodb"),
    ("elasticfilesystem", "efs"),
    ("kms", "kms"),
    ("sts", "sts"),
    ("servicequotas", "service-quotas"),
];

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    RestJson,
    Json,
    Query,
    Ec2,
}

impl Protocol {
    pub fn is_json(self) -> bool {
        matches!(self, Protocol::RestJson | Protocol::Json)
    }
}

#[derive(Deserialize)]
pub struct Model {
    pub metadata: Metadata,
    pub operations: BTreeMap<String, Operation>,
    shapes: HashMap<String, Shape>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub api_version: String,
    pub protocol: Protocol,
    #[serde(default)]
    pub json_version: String,
    #[serde(default)]
    pub target_prefix: String,
    #[serde(default)]
    pub xml_namespace: String,
}

#[derive(Deserialize)]
pub struct Operation {
    pub name: String,
    pub http: Http,
    pub input: Option<Output>,
    pub output: Option<Output>,
    #[serde(default)]
    pub errors: Vec<Output>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    pub request_uri: String,
    pub response_code: Option<u16>,
}

/// A shape that an operation names: its input, its output, one of its errors.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    pub shape: String,
    pub result_wrapper: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Structure,
    List,
    Map,
    String,
    Boolean,
    Integer,
    Long,
    Float,
    Double,
    Timestamp,
    Blob,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(default)]
    pub members: BTreeMap<String, Member>,
    #[serde(default)]
    pub required: Vec<String>,
    #[serde(default, rename = "enum")]
    pub values: Vec<String>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<String>,
    /// Of a list.
    pub member: Option<Member>,
    /// Of a map.
    pub key: Option<Member>,
    pub value: Option<Member>,
    #[serde(default)]
    pub flattened: bool,
    pub error: Option<WireError>,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    pub shape: String,
    pub location: Option<String>,
    pub location_name: Option<String>,
    pub query_name: Option<String>,
}

/// How an exception is called on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireError {
    pub code: Option<String>,
    pub http_status_code: Option<u16>,
}

impl Shape {
    /// The pattern, held against the whole text as the services do; none where there is none, or
    /// where it is of a kind that `regex` has not (looking ahead).
    pub fn pattern(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| {
                let pattern = translated(self.pattern.as_deref()?);
                Regex::new(&format!(r"\A(?:{pattern})\z")).ok()
            })
            .as_ref()
    }
}

/// Java's `\u0020` is `\u{0020}` here, and a whole character where Java has two halves.
fn translated(pattern: &str) -> String {
    let pattern = pattern
        .replace(r"\u10000-\u10FFFF", r"\x{10000}-\x{10FFFF}")
        .replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}")
        .replace(r"\p{Print}", r"[[:print:]]");
    let mut out = String::new();
    let mut rest = pattern.as_str();
    while let Some((before, after)) = rest.split_once(r"\u") {
        let Some((digits, tail)) = after.split_at_checked(4) else {
            break;
        };
        out.push_str(&format!(r"{before}\x{{{digits}}}"));
        rest = tail;
    }
    out + rest
}

impl Model {
    pub fn shape(&self, name: &str) -> &Shape {
        // A model that names a shape it has not is a broken file, and no test should go on.
        self.shapes
            .get(name)
            .unwrap_or_else(|| panic!("the model has no shape {name}"))
    }

    pub fn shapes(&self) -> impl Iterator<Item = (&String, &Shape)> {
        self.shapes.iter()
    }

    /// What an error is called on the wire and its status, from the name of its shape or its code.
    /// None: `operation` does not declare it.
    pub fn declared_error(&self, operation: &str, code: &str) -> Option<(String, Option<u16>)> {
        self.operations.get(operation)?.errors.iter().find_map(|e| {
            let wire = self.shape(&e.shape).error.as_ref();
            let name = wire.and_then(|w| w.code.as_deref()).unwrap_or(&e.shape);
            (name == code || e.shape == code)
                .then(|| (name.to_owned(), wire.and_then(|w| w.http_status_code)))
        })
    }
}

/// Where the models are if nobody says: `SEAWALL_BOTOCORE`, else where scripts/test-tools puts them.
pub fn default_folder() -> PathBuf {
    match std::env::var_os("SEAWALL_BOTOCORE") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/python/botocore/data"),
    }
}

type Loaded = HashMap<(PathBuf, &'static str), Arc<Model>>;

/// The model of a service, by its name in a signature's scope. None: there is no such service here.
pub fn load(folder: &Path, service: &str) -> Result<Option<Arc<Model>>, String> {
    static LOADED: OnceLock<Mutex<Loaded>> = OnceLock::new();
    let Some((_, name)) = SERVICES.iter().find(|(scope, _)| *scope == service) else {
        return Ok(None);
    };
    let key = (folder.to_owned(), *name);
    let mut loaded = LOADED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(model) = loaded.get(&key) {
        return Ok(Some(model.clone()));
    }
    let model = Arc::new(read(&folder.join(name)).map_err(|why| {
        format!(
            "the model of {name} in {}: {why}; scripts/test-tools fetches it",
            folder.display()
        )
    })?);
    loaded.insert(key, model.clone());
    Ok(Some(model))
}

/// The newest version in a service's folder.
fn read(folder: &Path) -> Result<Model, String> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|e| e.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path().join("service-2.json.gz")))
        .filter(|path| path.is_file())
        .collect();
    versions.sort();
    let newest = versions.pop().ok_or("no version has a service-2.json.gz")?;
    let file = File::open(&newest).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(BufReader::new(file))
        .read_to_end(&mut text)
        .map_err(|e| e.to_string())?;
    serde_json::from_slice(&text).map_err(|e| e.to_string())
}
