//! Service Quotas. A quota that the seed says nothing of has its default alone: GetServiceQuota
//! does not know it, as with many of AWS's.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ask::{number, page, present, text, unsupported, wanted};
use super::world::{Answer, Call, Refusal, World};

/// What there is of it in one region.
#[derive(Default)]
pub struct State {
    /// Applied values, by `service/code`.
    pub applied: BTreeMap<String, f64>,
}

/// Service, code, name, default, unit. From the quotas' console pages.
const KNOWN: &[(&str, &str, &str, f64, &str)] = &[
    (
        "ec2",
        "L-1216C47A",
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
        5.0,
        "None",
    ),
    (
        "ec2",
        "L-DB2E81BA",
        "Running On-Demand G and VT instances",
        0.0,
        "None",
    ),
    (
        "ec2",
        "L-417A185B",
        "Running On-Demand P instances",
        0.0,
        "None",
    ),
    (
        "ec2",
        "L-7295265B",
        "Running On-Demand X instances",
        0.0,
        "None",
    ),
    (
        "ec2",
        "L-74FC7D96",
        "Running On-Demand F instances",
        0.0,
        "None",
    ),
    (
        "ec2",
        "L-1945791B",
        "Running On-Demand Inf instances",
        0.0,
        "None",
    ),
    (
        "ec2",
        "L-2C3B7624",
        "Running On-Demand Trn instances",
        0.0,
        "None",
    ),
    (
        "ec2",
        "L-43DA4232",
        "Running On-Demand High Memory instances",
        0.0,
        "None",
    ),
    ("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5.0, "None"),
    ("vpc", "L-F678F1CE", "VPCs per Region", 5.0, "None"),
    (
        "vpc",
        "L-A4707A72",
        "Internet gateways per Region",
        5.0,
        "None",
    ),
    (
        "vpc",
        "L-E79EC296",
        "VPC security groups per Region",
        2500.0,
        "None",
    ),
    (
        "ebs",
        "L-7A658B76",
        "Storage for General Purpose SSD (gp3) volumes, in TiB",
        50.0,
        "None",
    ),
    (
        "ebs",
        "L-D18FCD1D",
        "Storage for General Purpose SSD (gp2) volumes, in TiB",
        50.0,
        "None",
    ),
    (
        "ebs",
        "L-FD252861",
        "Storage for Provisioned IOPS SSD (io1) volumes, in TiB",
        50.0,
        "None",
    ),
    (
        "ebs",
        "L-09BD8365",
        "Storage for Provisioned IOPS SSD (io2) volumes, in TiB",
        20.0,
        "None",
    ),
    (
        "ebs",
        "L-309BACF6",
        "Snapshots per Region",
        100000.0,
        "None",
    ),
    ("rds", "L-7B6409FD", "DB instances", 40.0, "None"),
    ("rds", "L-952B80B8", "DB clusters", 40.0, "None"),
    ("rds", "L-48C6BF61", "DB subnet groups", 50.0, "None"),
    (
        "dynamodb",
        "L-F98FE922",
        "Maximum number of tables",
        2500.0,
        "None",
    ),
    (
        "elasticfilesystem",
        "L-848C634D",
        "File systems per account",
        1000.0,
        "None",
    ),
    (
        "s3",
        "L-DC2B2D3D",
        "General purpose buckets",
        10000.0,
        "None",
    ),
];

pub fn handle(world: &mut World, call: &Call) -> Answer {
    let state = &world.region(call).quotas;
    let params = &call.params;
    let service = wanted(params, "ServiceCode");
    let code = wanted(params, "QuotaCode");
    let missing = || Refusal::new(400, "NoSuchResourceException", "There is no such quota.");
    let known = || {
        KNOWN
            .iter()
            .find(|known| known.0 == service && known.1 == code)
    };
    match call.operation.as_str() {
        "GetServiceQuota" => {
            let value = state
                .applied
                .get(&format!("{service}/{code}"))
                .ok_or_else(missing)?;
            let quota = known().ok_or_else(missing)?;
            Ok(json!({"Quota": describe(call, quota, *value)}))
        }
        "GetAWSDefaultServiceQuota" => {
            let quota = known().ok_or_else(missing)?;
            Ok(json!({"Quota": describe(call, quota, quota.3)}))
        }
        "ListServiceQuotas" => {
            let only = text(params, "QuotaCode");
            let all: Vec<Value> = (KNOWN.iter())
                .filter(|known| known.0 == service && only.is_none_or(|code| known.1 == code))
                .filter_map(|quota| {
                    let value = state.applied.get(&format!("{service}/{}", quota.1))?;
                    Some(describe(call, quota, *value))
                })
                .collect();
            let (quotas, next) = page(
                all,
                text(params, "NextToken"),
                number(params, "MaxResults"),
                100,
                "InvalidPaginationTokenException",
            )?;
            Ok(present(json!({"Quotas": quotas, "NextToken": next})))
        }
        _ => Err(unsupported(call)),
    }
}

fn describe(call: &Call, quota: &(&str, &str, &str, f64, &str), value: f64) -> Value {
    let (service, code, name, _, unit) = quota;
    let (region, account) = (&call.region, &call.account);
    json!({
        "ServiceCode": service,
        "ServiceName": service,
        "QuotaArn": format!("arn:aws:servicequotas:{region}:{account}:{service}/{code}"),
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": unit,
        "Adjustable": true,
        "GlobalQuota": false,
        "QuotaAppliedAtLevel": "ACCOUNT",
    })
}
