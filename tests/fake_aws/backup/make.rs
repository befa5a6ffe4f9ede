//! What a restore job makes, when its time has come.

use serde_json::json;

use super::super::ask;
use super::super::world::{Call, World};
use super::super::{dynamodb, ec2, efs, kms, rds};
use super::bucket::{self, Bucket};
use super::jobs;
use super::metadata::{as_map, get, json_list, kms_keys};
use super::state::{End, Job, Point};

const GIB: u64 = 1 << 30;

/// Of an EBS point: as it is written down, or as its size says.
pub fn gib(point: &Point) -> u64 {
    (point.spec.get("gib").and_then(serde_json::Value::as_u64))
        .unwrap_or_else(|| point.size.div_ceil(GIB).max(1))
}

/// Does what jobs of a region are due to have done by now. Called before anything is asked there:
/// what a job makes is seen by the other services while it runs.
pub fn advance(world: &mut World, account: &str, region: &str, now: f64) {
    let key = (account.to_owned(), region.to_owned());
    let Some(here) = world.regions.get_mut(&key) else {
        return;
    };
    here.backup.seen = here.backup.seen.max(now);
    let due = |job: &Job| {
        let ends = job.end != End::Never && now >= job.ends;
        (!job.begun && now >= job.flows.min(job.ends)) || (!job.ended && ends)
    };
    let count = here.backup.jobs.len();
    for index in 0..count {
        let jobs = &mut world.region_of(account, region).backup.jobs;
        let Some(job) = jobs.get_mut(index).filter(|job| due(job)) else {
            continue;
        };
        // It is away for as long as the world is changed for it.
        let mut job = std::mem::take(job);
        if !job.begun {
            job.begun = true;
            if let Err(why) = begin(world, &mut job) {
                job.end = End::Fails(why);
                job.ends = job.flows + 5.0;
            }
        }
        if !job.ended && job.end == End::Completes && now >= job.ends {
            end(world, &mut job);
        }
        job.ended = job.end != End::Never && now >= job.ends;
        if let Some(place) = world.region_of(account, region).backup.jobs.get_mut(index) {
            *place = job;
        }
    }
}

/// A call of AWS Backup's own, at the moment at which the job is.
fn call(job: &Job) -> Call {
    Call {
        service: "backup".into(),
        operation: "restore".into(),
        account: job.account.clone(),
        region: job.region.clone(),
        params: json!({}),
        now: job.flows,
    }
}

/// Where data begins to flow: the thing is there, and is not ready.
fn begin(world: &mut World, job: &mut Job) -> Result<(), String> {
    let fails = matches!(job.end, End::Fails(_));
    // A job that fails leaves nothing, but for a bucket: that is made first of all.
    if fails && (job.point.kind != "S3" || job.ends <= job.flows) {
        return Ok(());
    }
    if !fails {
        keys(world, job)?;
    }
    let call = call(job);
    let ready = match job.end {
        End::Never => f64::INFINITY,
        _ => job.ends,
    };
    match job.point.kind.as_str() {
        "EBS" => volume(world, job, ready),
        "EC2" => instance(world, job, ready),
        "RDS" | "Aurora" => database(world, &call, job, ready),
        "S3" => new_bucket(world, job),
        "DynamoDB" => table(world, &call, job, ready),
        "EFS" => file_system(world, job),
        other => Err(format!("{other} cannot be restored by this double.")),
    }
}

/// Whether the keys may be used. Of S3 the documentation says that without them the job is
/// successful, and the objects are not restored.
fn keys(world: &mut World, job: &mut Job) -> Result<(), String> {
    let mut wanted = kms_keys(&job.metadata);
    wanted.extend(job.point.key.clone().filter(|_| job.point.encrypted));
    for key in wanted {
        match kms::trouble(world, &job.account, &job.region, &key) {
            Some(_) if job.point.kind == "S3" => job.empty = true,
            Some(why) => return Err(why.to_owned()),
            None => {}
        }
    }
    Ok(())
}

fn arn(job: &Job, service: &str, rest: &str) -> String {
    format!("arn:aws:{service}:{}:{}:{rest}", job.region, job.account)
}

fn volume(world: &mut World, job: &mut Job, ready: f64) -> Result<(), String> {
    let id = world.new_id("vol");
    let size = (job.meta("volumeSize").and_then(|size| size.parse().ok()))
        .unwrap_or_else(|| gib(&job.point));
    let snapshot = job.point.word("snapshot").unwrap_or_default().to_owned();
    let metadata = as_map(&job.metadata);
    let state = &mut world.region_of(&job.account, &job.region).ec2;
    ec2::backup_creates_volume(state, &metadata, &snapshot, size, ready, id.clone())
        .map_err(|refusal| refusal.message)?;
    job.made = Some(arn(job, "ec2", &format!("volume/{id}")));
    Ok(())
}

fn instance(world: &mut World, job: &mut Job, ready: f64) -> Result<(), String> {
    let kind = job.meta("InstanceType").unwrap_or_default();
    if world.script.no_capacity.iter().any(|none| none == kind) {
        return Err(format!(
            "We currently do not have sufficient {kind} capacity in the Availability Zone you \
             requested (Service: AmazonEC2; Error Code: InsufficientInstanceCapacity)"
        ));
    }
    if job.empty {
        return Ok(());
    }
    let image = job.point.word("image").unwrap_or_default().to_owned();
    let metadata = as_map(&job.metadata);
    // Ids are the world's to give, and the state is within it.
    let region = world.region_of(&job.account, &job.region);
    let mut state = std::mem::take(&mut region.ec2);
    let mut ids = |prefix: &str| world.new_id(prefix);
    let made = ec2::backup_creates_instance(&mut state, &metadata, &image, ready, &mut ids);
    world.region_of(&job.account, &job.region).ec2 = state;
    let id = made.map_err(|refusal| refusal.message)?;
    job.made = Some(arn(job, "ec2", &format!("instance/{id}")));
    Ok(())
}

fn database(world: &mut World, call: &Call, job: &mut Job, ready: f64) -> Result<(), String> {
    let groups = match job.meta("VpcSecurityGroupIds") {
        Some(_) => json_list(&job.metadata, "VpcSecurityGroupIds")?,
        None => Vec::new(),
    };
    if let Some(id) = ask::missing_group(world, call, &groups) {
        return Err(format!("Invalid security group, groupId= {id}"));
    }
    if job.empty {
        return Ok(());
    }
    let asked = rds::Restore {
        metadata: &job.metadata,
        point: &job.point,
        groups,
        made: job.flows,
        ready,
    };
    let what = match job.point.kind.as_str() {
        "RDS" => rds::backup_creates_instance(world, call, &asked)?,
        _ => rds::backup_creates_cluster(world, call, &asked)?,
    };
    job.made = Some(what);
    Ok(())
}

fn new_bucket(world: &mut World, job: &mut Job) -> Result<(), String> {
    let name = job
        .meta("DestinationBucketName")
        .unwrap_or_default()
        .to_owned();
    let server = (world.s3.clone()).ok_or("this double was given no S3 server")?;
    let bucket = Bucket { server, name };
    let new = job
        .meta("NewBucket")
        .is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if new {
        bucket::make(&bucket)?;
        let state = &mut world.region_of(&job.account, &job.region).backup;
        state.buckets.push(bucket.clone());
    } else if !bucket::exists(&bucket)? {
        return Err(format!("The bucket {} does not exist.", bucket.name));
    }
    job.made = Some(format!("arn:aws:s3:::{}", bucket.name));
    Ok(())
}

fn table(world: &mut World, call: &Call, job: &mut Job, ready: f64) -> Result<(), String> {
    let name = get(&job.metadata, "targetTableName")
        .unwrap_or_default()
        .to_owned();
    let key = get(&job.metadata, "kmsMasterKeyArn").map(str::to_owned);
    let protected = get(&job.metadata, "deletionProtection") == Some("true");
    let made = dynamodb::backup_creates_table(world, call, &job.point, &name, key, protected)?;
    if let Some(table) = world.region(call).dynamodb.tables.get_mut(&name) {
        table.ready = ready;
        if job.empty {
            table.items.clear();
        }
    }
    job.made = Some(made);
    Ok(())
}

fn file_system(world: &mut World, job: &mut Job) -> Result<(), String> {
    let id = world.new_id("fs");
    let made = efs::FileSystem {
        id: id.clone(),
        token: get(&job.metadata, "CreationToken")
            .unwrap_or_default()
            .to_owned(),
        owner: job.account.clone(),
        arn: arn(job, "elasticfilesystem", &format!("file-system/{id}")),
        mode: get(&job.metadata, "PerformanceMode")
            .unwrap_or_default()
            .to_owned(),
        encrypted: get(&job.metadata, "Encrypted").is_some_and(|e| e.eq_ignore_ascii_case("true")),
        key: get(&job.metadata, "KmsKeyId").map(str::to_owned),
        made: job.flows,
        ready: job.flows + 10.0,
        size: efs::NOTHING,
        ..efs::FileSystem::default()
    };
    job.made = Some(made.arn.clone());
    let state = &mut world.region_of(&job.account, &job.region).efs;
    state.systems.insert(id, made);
    Ok(())
}

/// Where all data has come.
fn end(world: &mut World, job: &mut Job) {
    let id = job
        .made
        .as_deref()
        .and_then(|arn| arn.rsplit('/').next())
        .unwrap_or_default();
    let id = id.to_owned();
    let (point, empty) = (&job.point, job.empty);
    match point.kind.as_str() {
        "EBS" => {
            let state = &mut world.region_of(&job.account, &job.region).ec2;
            ec2::backup_fills(state, &id, empty);
        }
        "S3" if !empty => {
            let name = job
                .meta("DestinationBucketName")
                .unwrap_or_default()
                .to_owned();
            let filled = match world.s3.clone() {
                Some(server) => bucket::fill(&Bucket { server, name }, point),
                None => Ok(()),
            };
            if let Err(why) = filled {
                job.end = End::Fails(why);
                return;
            }
        }
        "EFS" if !empty => {
            let state = &mut world.region_of(&job.account, &job.region).efs;
            if let Some(system) = state.systems.get_mut(&id) {
                system.size += point.size;
            }
        }
        _ => {}
    }
    let state = &mut world.region_of(&job.account, &job.region).backup;
    jobs::restored(state, &job.point, job.ends);
}
