//! What jobs make.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::super::rds::tests::network;
use super::{ROLE, ask, ends, job, newest, start, world};

#[test]
fn an_instance_comes_with_all_that_it_needs() {
    let mut world = world();
    let (subnets, group) = network(&mut world);
    let instance = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0000000000000a001";
    let metadata = json!({
        "InstanceType": "m7g.large", "SubnetId": subnets[0],
        "SecurityGroupIds": format!("[{group}]"),
    });
    world.script.no_capacity.push("m7g.large".into());
    let (status, why) = ends(&mut world, instance, metadata.clone());
    assert_eq!(status, "FAILED");
    assert!(why.contains("InsufficientInstanceCapacity"), "{why}");
    world.script.no_capacity.clear();
    let before = world.left().len();
    let id = start(&mut world, 0.0, instance, metadata).unwrap()["RestoreJobId"].clone();
    let job = job(&mut world, 400.0, &id);
    assert_eq!(job["Status"], "COMPLETED", "{job}");
    let made = job["CreatedResourceArn"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let said = ask(
        &mut world,
        400.0,
        "ec2",
        "DescribeInstances",
        json!({"InstanceIds": [made]}),
    );
    let shown = said.unwrap()["Reservations"][0]["Instances"][0].clone();
    assert_eq!(shown["SubnetId"], subnets[0]);
    // The instance, its interface, a volume, a helper image with its snapshot.
    assert_eq!(world.left().len(), before + 5, "{:?}", world.left());
}

/// An S3 server that knows only whether something was put: what it was asked is in the list.
fn put_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::<String>::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            head.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                head.read_line(&mut line).unwrap();
                if let Some(said) = line.strip_prefix("Content-Length: ") {
                    length = said.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            std::io::copy(&mut head.take(length), &mut std::io::sink()).unwrap();
            let first = first.trim_end_matches(" HTTP/1.1\r\n").to_owned();
            let mut log = log.lock().unwrap();
            let there = log.contains(&first.replace("HEAD", "PUT"));
            let status = if first.starts_with("PUT") || there {
                "200 OK"
            } else {
                "404 Not Found"
            };
            log.push(first);
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

#[test]
fn a_bucket_is_made_and_filled_in_a_real_server() {
    let mut world = world();
    let bucket = "arn:aws:s3:::shop-documents";
    let metadata = json!({"DestinationBucketName": "drill-1", "newBucket": "true"});
    let (status, why) = ends(&mut world, bucket, metadata.clone());
    assert!(
        status == "FAILED" && why.contains("no S3 server"),
        "{status} {why}"
    );

    let (url, asked) = put_server();
    world.s3 = Some(url);
    let id = start(&mut world, 0.0, bucket, metadata.clone()).unwrap()["RestoreJobId"].clone();
    job(&mut world, 61.0, &id);
    assert_eq!(
        asked.lock().unwrap()[..],
        ["HEAD /drill-1", "PUT /drill-1", "PUT /drill-1?versioning"]
    );
    assert_eq!(
        job(&mut world, 100.0, &id)["CreatedResourceArn"],
        "arn:aws:s3:::drill-1"
    );
    let last = asked.lock().unwrap().last().cloned();
    assert_eq!(last.as_deref(), Some("PUT /drill-1/invoices/2026/0012.txt"));
    assert_eq!(asked.lock().unwrap().len(), 3 + 12);
    assert_eq!(world.left(), ["111122223333 eu-central-1 bucket drill-1"]);

    let (status, why) = ends(&mut world, bucket, metadata);
    assert!(
        status == "FAILED" && why.contains("exists already"),
        "{status} {why}"
    );
    // Without the key the job is successful, and there is nothing.
    let key = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    world.script.denied_keys.push(key.into());
    let metadata = json!({"DestinationBucketName": "drill-2", "newBucket": "true"});
    assert_eq!(ends(&mut world, bucket, metadata).0, "COMPLETED");
    let with_objects = |request: &String| request.starts_with("PUT /drill-2/");
    assert!(!asked.lock().unwrap().iter().any(with_objects));
}

#[test]
fn tags_of_a_table_fail_the_job() {
    let mut world = world();
    let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/carts";
    let params = json!({
        "RecoveryPointArn": newest(&mut world, table),
        "Metadata": {"targettablename": "new"},
        "IamRoleArn": ROLE,
        "CopySourceTagsToRestoredResource": true,
    });
    let id = ask(&mut world, 0.0, "backup", "StartRestoreJob", params).unwrap();
    let job = job(&mut world, 5000.0, &id["RestoreJobId"]);
    assert_eq!(job["Status"], "FAILED");
    assert_eq!(world.left(), Vec::<String>::new());
}
