//! What the drill's document says by itself, and what the guard claims. Pure, but for looking
//! whether files can be read.

use std::path::Path;

use super::sight::Sight;
use crate::cloud::access::Access;
use crate::cloud::provider::CloudSetup;
use crate::document::drill::Drill;
use crate::document::drill::aws::{AwsScratch, DatabaseLogin, Gateway};
use crate::shell::clean;

/// Checks that need no question.
pub fn look(setup: &CloudSetup, scratch: &AwsScratch, sight: &mut Sight) {
    place(&setup.drill, scratch, sight);
    for login in logins(&setup.drill) {
        let name = format!("{} holds a password", clean(&login.password_env, 80));
        let set = (setup.variable)(&login.password_env).is_some_and(|v| !v.is_empty());
        let detail = match set {
            true => "it is set",
            false => "this environment variable is not set, or is empty",
        };
        sight.check(&name, set, detail);
    }
    let base = setup.drill_path.parent().unwrap_or(Path::new("."));
    for file in files(&setup.drill) {
        let path = base.join(file);
        let name = format!("{} can be read", clean(file, 150));
        match std::fs::File::open(&path) {
            Ok(_) => sight.check(&name, true, "it can"),
            Err(error) => sight.check(&name, false, format!("{}: {error}", path.display())),
        }
    }
    guard(&setup.access, &setup.drill, scratch, sight);
    sight.ready.endpoints = endpoints(&setup.access, &setup.drill, &scratch.region);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        if (setup.variable)(name).is_some_and(|v| !v.is_empty()) {
            sight.ready.not_enforced.push(format!(
                "requests go through a proxy ({name}): where that is, is not looked at"
            ));
        }
    }
}

/// Whether the scratch is where a drill may be held.
fn place(drill: &Drill, scratch: &AwsScratch, sight: &mut Sight) {
    let region = clean(&scratch.region, 40);
    let lost = drill.lost.regions.contains(&scratch.region);
    sight.check(
        "the scratch region is not lost",
        !lost && !drill.lost.regions.is_empty(),
        match (lost, drill.lost.regions.is_empty()) {
            (true, _) => format!("{region} is among the lost regions"),
            (false, true) => "no region is lost: name those that are assumed gone".to_owned(),
            (false, false) => format!("{region}; lost: {}", drill.lost.regions.join(", ")),
        },
    );
    let production = scratch.production.contains(&scratch.region);
    sight.check(
        "production does not run in the scratch region",
        !production,
        match (production, scratch.production.is_empty()) {
            (true, _) => format!("{region} is named as a region of production"),
            (false, true) => "no other region of production is named".to_owned(),
            (false, false) => scratch.production.join(", "),
        },
    );
    let of_account = |arn: &str| arn.split(':').nth(4) == Some(scratch.account.as_str());
    sight.check(
        "the restore role is of this account",
        scratch.restore_role.contains(":role/") && of_account(&scratch.restore_role),
        &scratch.restore_role,
    );
    if let Some(key) = &scratch.kms_key {
        let here = key.split(':').nth(3) == Some(scratch.region.as_str());
        sight.check("the key is in the scratch region", here, key);
    }
    if scratch.network.gateway == Gateway::Controller {
        let controller = scratch.network.controller.as_deref();
        sight.check(
            "the controller's address is named",
            controller.is_some(),
            controller.unwrap_or("`gateway: controller` needs `controller: A.B.C.D/32`"),
        );
    }
}

fn logins(drill: &Drill) -> impl Iterator<Item = &DatabaseLogin> {
    (drill.steps.iter())
        .filter_map(|step| step.aws.as_ref())
        .flat_map(|aws| {
            let rds = aws.rds.as_ref().and_then(|to| to.login.as_ref());
            let aurora = aws.aurora.as_ref().and_then(|to| to.login.as_ref());
            [rds, aurora].into_iter().flatten()
        })
}

/// Identities of archives, and keys of instances.
fn files(drill: &Drill) -> impl Iterator<Item = &String> {
    let keys = (drill.steps.iter())
        .filter_map(|step| step.aws.as_ref())
        .filter_map(|aws| {
            let of_instance = aws.instance.as_ref().and_then(|to| to.ssh.as_ref());
            let ssh = of_instance.or(aws.fresh.as_ref().map(|fresh| &fresh.ssh));
            ssh?.identity.as_ref()
        });
    drill.identities.iter().chain(keys)
}

/// What the guard holds, what it does not, and what would prove the rest.
fn guard(access: &Access, drill: &Drill, scratch: &AwsScratch, sight: &mut Sight) {
    let lost = drill.lost.regions.join(", ");
    let ready = &mut sight.ready;
    ready.enforced.extend([
        format!(
            "every request of Seawall to AWS, and of what fetches its credentials, is judged before it \
             is sent, by its host and by its signature: none goes to {lost}, or to a global \
             endpoint that lives there"
        ),
        format!(
            "services of AWS are spoken to in {} alone; credentials may come from elsewhere, and \
             are listed",
            clean(&scratch.region, 40)
        ),
        "StartCopyJob is refused by name: only copies that were in the scratch region count"
            .to_owned(),
    ]);
    ready.not_enforced.extend([
        "what restored workloads send by themselves is not seen: route tables without a gateway, a \
         service control policy that denies the lost regions, and CloudTrail of the account and \
         of VPC endpoints would prove it"
            .to_owned(),
        "what AWS does within itself (AWS Backup reading a key or a snapshot of another region) is \
         not seen: CloudTrail in the lost region would show it"
            .to_owned(),
        "a program that a profile names to fetch credentials (credential_process) is not guarded"
            .to_owned(),
    ]);
    match scratch.network.gateway {
        Gateway::None => ready
            .enforced
            .push("the scratch network has no internet gateway".to_owned()),
        Gateway::Controller => ready
            .enforced
            .push("the scratch network has one route out: to the controller's address".to_owned()),
        Gateway::Internet => ready.not_enforced.push(
            "the scratch network has a way to the internet (`gateway: internet`): workloads could \
             reach the lost region, and anything else"
                .to_owned(),
        ),
    }
    if access.doubles().next().is_some() {
        ready.not_enforced.push(
            "the endpoints were overridden: this was not AWS, and times and results are a double's"
                .to_owned(),
        );
    }
    if access.pace > 1.0 {
        ready.not_enforced.push(format!(
            "every wait was made {} times shorter, for a double",
            access.pace
        ));
    }
}

/// Places that will be used.
fn endpoints(access: &Access, drill: &Drill, region: &str) -> Vec<String> {
    let any = |is: &dyn Fn(&crate::document::drill::aws::AwsRestore) -> bool| {
        (drill.steps.iter()).any(|step| step.aws.as_ref().is_some_and(is))
    };
    let mut services = vec![
        "backup",
        "ec2",
        "kms",
        "servicequotas",
        "sts",
        "rds",
        "dynamodb",
    ];
    services.push("elasticfilesystem");
    let mut all: Vec<String> = match &access.endpoint {
        Some(endpoint) => vec![clean(endpoint, 100)],
        None => (services.into_iter())
            .map(|service| format!("{service}.{region}.amazonaws.com"))
            .collect(),
    };
    if let Some(endpoint) = &access.ec2_endpoint {
        all.retain(|one| !one.starts_with("ec2."));
        all.push(clean(endpoint, 100));
    }
    if any(&|aws| aws.s3.is_some()) {
        all.push(match access.s3() {
            Some(endpoint) => clean(endpoint, 100),
            None => format!("s3.{region}.amazonaws.com"),
        });
    }
    all.sort();
    all.dedup();
    all
}
