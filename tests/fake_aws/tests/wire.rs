//! Models, protocols and signatures, without a server.

use serde_json::{Value, json};

use super::super::http::Request;
use super::super::model::{Kind, Protocol, SERVICES};
use super::super::protocol::problem::{self, Problem};
use super::super::protocol::{self, check};
use super::super::sigv4::{self, Keys, Unbelieved};
use super::super::world::Refusal;
use super::{form_request, json_request, keys, models, rest_request, signed};

fn decode(service: &str, request: &Request) -> Result<(String, Value), Problem> {
    let model = models(service);
    let named = protocol::name(&model, request)?;
    let params = protocol::decode(&model, &named, request)?;
    Ok((named.operation, params))
}

fn body(service: &str, operation: &str, answer: &Value) -> String {
    let response = protocol::encode(&models(service), operation, answer, "id-1");
    String::from_utf8(response.expect("an answer of the model").body).expect("text")
}

#[test]
fn every_service_speaks_as_its_model_says() {
    let spoken: Vec<(&str, Protocol)> = SERVICES
        .iter()
        .map(|(service, _)| (*service, models(service).metadata.protocol))
        .collect();
    let expected = [
        ("backup", Protocol::RestJson),
        ("ec2", Protocol::Ec2),
        ("rds", Protocol::Query),
        ("dynamodb", Protocol::Json),
        ("elasticfilesystem", Protocol::RestJson),
        ("kms", Protocol::Json),
        ("sts", Protocol::Query),
        ("servicequotas", Protocol::Json),
    ];
    assert_eq!(spoken, expected);
}

#[test]
fn what_the_protocols_leave_out_is_in_no_model() {
    let mut maps = Vec::new();
    for (service, _) in SERVICES {
        let model = models(service);
        for (name, shape) in model.shapes() {
            assert!(!shape.flattened, "{service} {name} is flattened");
            for (own, member) in &shape.members {
                let location = member.location.as_deref();
                assert!(
                    matches!(location, None | Some("uri" | "querystring")),
                    "{service} {name}.{own} is in {location:?}"
                );
            }
        }
        for (name, what) in &model.operations {
            let uri = &what.http.request_uri;
            assert!(!uri.contains("+}"), "{service} {name} has a greedy label");
            let input = what
                .input
                .iter()
                .flat_map(|i| &model.shape(&i.shape).members);
            let mut kinds = input.map(|(_, member)| model.shape(&member.shape).kind);
            if !model.metadata.protocol.is_json() && kinds.any(|kind| kind == Kind::Map) {
                maps.push(name.clone());
            }
        }
    }
    // Forms with maps are not read; no drill sends this one.
    assert_eq!(maps, ["CreateIntegration"]);
}

/// Patterns that look ahead or back, which `regex` does not. Nothing else may go unchecked.
#[test]
fn the_patterns_that_are_not_checked_are_these() {
    let mut unchecked = Vec::new();
    for (service, _) in SERVICES {
        for (name, shape) in models(service).shapes() {
            if shape.pattern.is_some() && shape.pattern().is_none() {
                unchecked.push(format!("{service} {name}"));
            }
        }
    }
    unchecked.sort();
    assert_eq!(
        unchecked,
        [
            "backup AccessPointArn",
            "backup AccessPointName",
            "ec2 SecretArn",
            "elasticfilesystem Path",
            "elasticfilesystem TagKey",
            "rds TargetDBClusterParameterGroupName",
            "rds TargetDBParameterGroupName",
        ]
    );
}

#[test]
fn an_ec2_form_becomes_members() {
    let form = "Action=RunInstances&Version=2016-11-15&ImageId=ami-1&MinCount=1&MaxCount=2\
        &SecurityGroupId.2=sg-b&SecurityGroupId.1=sg-a&TagSpecification.1.ResourceType=instance\
        &TagSpecification.1.Tag.1.Key=seawall%3Adrill&TagSpecification.1.Tag.1.Value=a+b\
        &EbsOptimized=true&NetworkInterface.1.DeviceIndex=0\
        &NetworkInterface.1.Ipv6Addresses.1.Ipv6Address=%3A%3A1";
    let (operation, params) = decode("ec2", &form_request(form)).expect("a request of the model");
    assert_eq!(operation, "RunInstances");
    assert_eq!(
        params,
        json!({
            "ImageId": "ami-1", "MinCount": 1, "MaxCount": 2, "EbsOptimized": true,
            "SecurityGroupIds": ["sg-a", "sg-b"],
            "TagSpecifications": [{
                "ResourceType": "instance",
                "Tags": [{"Key": "seawall:drill", "Value": "a b"}],
            }],
            "NetworkInterfaces": [{
                "DeviceIndex": 0, "Ipv6Addresses": [{"Ipv6Address": "::1"}],
            }],
        })
    );
}

#[test]
fn an_ec2_answer_becomes_xml() {
    let answer = json!({"Volumes": [{
        "VolumeId": "vol-1", "Size": 8, "State": "in-use", "Encrypted": true, "Iops": null,
        "CreateTime": 1767225600.25, "Tags": [{"Key": "a<b", "Value": "&"}], "Attachments": [],
    }]});
    assert_eq!(
        body("ec2", "DescribeVolumes", &answer),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DescribeVolumesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15\">\
         <requestId>id-1</requestId><volumeSet><item><volumeId>vol-1</volumeId><size>8</size>\
         <status>in-use</status><encrypted>true</encrypted>\
         <createTime>2026-01-01T00:00:00.250Z</createTime>\
         <tagSet><item><key>a&lt;b</key><value>&amp;</value></item></tagSet>\
         <attachmentSet></attachmentSet></item></volumeSet></DescribeVolumesResponse>"
    );
    assert!(body("ec2", "DeleteVolume", &Value::Null).contains("<return>true</return>"));
}

#[test]
fn a_query_form_becomes_members_and_its_answer_xml() {
    let form = "Action=CreateDBSubnetGroup&Version=2014-10-31&DBSubnetGroupName=g\
        &DBSubnetGroupDescription=d&SubnetIds.SubnetIdentifier.1=subnet-a&SubnetIds.member.1=x";
    // The two names of a list's members cannot be mixed: the model's own is taken.
    let (_, params) = decode("rds", &form_request(form)).expect("a request of the model");
    assert_eq!(params["SubnetIds"], json!(["subnet-a"]));

    let answer = json!({"DBInstances": [{
        "DBInstanceIdentifier": "d", "InstanceCreateTime": 0,
        "TagList": [{"Key": "k", "Value": "v"}],
    }]});
    assert_eq!(
        body("rds", "DescribeDBInstances", &answer),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DescribeDBInstancesResponse xmlns=\"http://rds.amazonaws.com/doc/2014-10-31/\">\
         <DescribeDBInstancesResult><DBInstances><DBInstance>\
         <DBInstanceIdentifier>d</DBInstanceIdentifier>\
         <InstanceCreateTime>1970-01-01T00:00:00.000Z</InstanceCreateTime>\
         <TagList><Tag><Key>k</Key><Value>v</Value></Tag></TagList>\
         </DBInstance></DBInstances></DescribeDBInstancesResult>\
         <ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata>\
         </DescribeDBInstancesResponse>"
    );
}

#[test]
fn a_rest_request_becomes_members() {
    let target = "/backup-vaults/dr-copies/recovery-points/\
        ?createdAfter=2026-01-01T00%3A00%3A00Z&maxResults=5";
    let (operation, params) = decode("backup", &rest_request("GET", target, "")).expect("fine");
    assert_eq!(operation, "ListRecoveryPointsByBackupVault");
    let expected = json!({
        "BackupVaultName": "dr-copies", "ByCreatedAfter": 1767225600.0, "MaxResults": 5,
    });
    assert_eq!(params, expected);

    let target = "/backup-vaults/vault/recovery-points/arn%3Aaws%3Aec2%3Ax%3A%3Asnapshot%2Fsnap-1";
    let (operation, params) = decode("backup", &rest_request("GET", target, "")).expect("fine");
    assert_eq!(operation, "DescribeRecoveryPoint");
    assert_eq!(params["RecoveryPointArn"], "arn:aws:ec2:x::snapshot/snap-1");

    let sent = r#"{"RecoveryPointArn": "arn", "Metadata": {"a": "b"}, "IamRoleArn": null}"#;
    let (operation, params) =
        decode("backup", &rest_request("PUT", "/restore-jobs", sent)).expect("fine");
    assert_eq!(operation, "StartRestoreJob");
    assert_eq!(
        params,
        json!({"RecoveryPointArn": "arn", "Metadata": {"a": "b"}})
    );

    let target = "/2015-02-01/file-systems?FileSystemId=fs-12345678";
    let (operation, params) =
        decode("elasticfilesystem", &rest_request("GET", target, "")).expect("fine");
    assert_eq!(operation, "DescribeFileSystems");
    assert_eq!(params, json!({"FileSystemId": "fs-12345678"}));
}

#[test]
fn json_goes_both_ways() {
    let request = json_request(
        "DynamoDB_20120810.Scan",
        r#"{"TableName": "t", "Limit": 3}"#,
    );
    let (operation, params) = decode("dynamodb", &request).expect("fine");
    assert_eq!(operation, "Scan");
    assert_eq!(params, json!({"TableName": "t", "Limit": 3}));
    let answer = json!({"Count": 1, "Items": [{"id": {"S": "x"}}], "LastEvaluatedKey": null});
    assert_eq!(
        body("dynamodb", "Scan", &answer),
        r#"{"Count":1,"Items":[{"id":{"S":"x"}}]}"#
    );
    // EFS and AWS Backup have names of their own on the wire in few places; times stay numbers.
    let answer = json!({"RestoreMetadata": {"availabilityZone": null}});
    assert_eq!(
        body("backup", "GetRecoveryPointRestoreMetadata", &answer),
        answer.to_string()
    );
    let answer = json!({"RestoreJobId": "j", "CreationDate": 1767225600.5});
    assert_eq!(
        body("backup", "DescribeRestoreJob", &answer),
        r#"{"RestoreJobId":"j","CreationDate":1767225600.5}"#
    );
}

#[test]
fn what_a_model_rejects_is_rejected_in_the_services_words() {
    let ec2 = |rest: &str| form_request(&format!("Version=2016-11-15&{rest}"));
    let rds = |rest: &str| form_request(&format!("Version=2014-10-31&{rest}"));
    let dynamo = |body: &str| json_request("DynamoDB_20120810.Scan", body);
    let kms = |body: &str| json_request("TrentService.DescribeKey", body);
    let jobs = |body: &str| rest_request("PUT", "/restore-jobs", body);
    let long = format!(r#"{{"TableName": "{}"}}"#, "x".repeat(2000));
    let cases = [
        ("ec2", ec2("Action=MakeVolumes"), "InvalidAction"),
        (
            "ec2",
            form_request("Action=DescribeVolumes&Version=2010-01-01"),
            "InvalidAction",
        ),
        (
            "ec2",
            ec2("Action=RunInstances&MinCount=1"),
            "MissingParameter",
        ),
        (
            "ec2",
            ec2("Action=DescribeVolumes&Volumes.1=a"),
            "UnknownParameter",
        ),
        (
            "ec2",
            ec2("Action=DescribeVolumes&VolumeId.a=b"),
            "UnknownParameter",
        ),
        (
            "ec2",
            ec2("Action=DescribeVolumes&MaxResults=x"),
            "InvalidParameterValue",
        ),
        (
            "ec2",
            ec2("Action=DescribeVolumes&DryRun=yes"),
            "InvalidParameterValue",
        ),
        (
            "ec2",
            ec2("Action=CreateVolume&VolumeType=fast"),
            "InvalidParameterValue",
        ),
        (
            "ec2",
            ec2("Action=DescribeInstanceTypes&MaxResults=1"),
            "InvalidParameterValue",
        ),
        ("rds", rds("Action=DeleteDBInstance"), "MissingParameter"),
        (
            "rds",
            rds("Action=DeleteDBInstance&Name=x"),
            "InvalidParameterValue",
        ),
        (
            "sts",
            form_request("Action=X&Version=2011-06-15"),
            "InvalidAction",
        ),
        (
            "backup",
            jobs(r#"{"Metadata": {}}"#),
            "MissingParameterValueException",
        ),
        (
            "backup",
            jobs(r#"{"Meta": {}}"#),
            "InvalidParameterValueException",
        ),
        ("backup", jobs("{"), "InvalidParameterValueException"),
        (
            "backup",
            rest_request(
                "PUT",
                "/restore-jobs/j/validations",
                r#"{"ValidationStatus": "GREAT"}"#,
            ),
            "InvalidParameterValueException",
        ),
        (
            "backup",
            rest_request("GET", "/restore-jobs?count=1", ""),
            "InvalidParameterValueException",
        ),
        (
            "backup",
            rest_request("POST", "/restore-jobs", ""),
            "UnknownOperationException",
        ),
        (
            "elasticfilesystem",
            rest_request("DELETE", "/2015-02-01/file-systems/a%20b", ""),
            "BadRequest",
        ),
        ("dynamodb", dynamo("{}"), "ValidationException"),
        ("dynamodb", dynamo(&long), "ValidationException"),
        (
            "dynamodb",
            dynamo(r#"{"TableName": 5}"#),
            "SerializationException",
        ),
        (
            "dynamodb",
            dynamo(r#"{"TableName": "t", "Limit": 0}"#),
            "ValidationException",
        ),
        (
            "dynamodb",
            dynamo(r#"{"TableName": "t", "Much": 0}"#),
            "ValidationException",
        ),
        (
            "dynamodb",
            json_request("Dynamo.Scan", "{}"),
            "UnknownOperationException",
        ),
        ("kms", kms(r#"{"KeyId": ""}"#), "ValidationException"),
        (
            "servicequotas",
            json_request(
                "ServiceQuotasV20190624.GetServiceQuota",
                r#"{"ServiceCode": "ec2", "QuotaCode": "L 1"}"#,
            ),
            "IllegalArgumentException",
        ),
    ];
    for (service, request, code) in cases {
        let problem = decode(service, &request).expect_err(code);
        let said = problem::refusal(service, &problem);
        assert_eq!(said.code, code, "{service}: {problem:?}");
    }
}

#[test]
fn a_handlers_answer_is_held_to_the_model() {
    let model = models("ec2");
    let shape = "DescribeVolumesResult";
    let wrong = [
        (json!({"Volume": []}), "Unknown"),
        (json!({"Volumes": [{"Id": "x"}]}), "Unknown"),
        (json!({"Volumes": [{"Size": "8"}]}), "Type"),
        (json!({"Volumes": [{"State": "ready"}]}), "Value"),
        (json!([]), "Type"),
    ];
    for (answer, why) in wrong {
        let said = check::answer(&model, shape, &answer).expect_err(why);
        assert!(said.starts_with(why), "{said}");
    }
    let said = protocol::encode(&model, "DeleteVolume", &json!({"a": 1}), "id");
    assert!(said.is_err());
}

#[test]
fn errors_have_the_form_of_their_protocol() {
    let said = |service: &str, operation: &str, code: &str| {
        let refusal = Refusal::new(400, code, "a <b>");
        let (response, _) = protocol::refuse(&models(service), operation, &refusal, "id-1");
        String::from_utf8(response.body).expect("text")
    };
    assert!(said("ec2", "DeleteVolume", "VolumeInUse").ends_with(
        "<Response><Errors><Error><Code>VolumeInUse</Code><Message>a &lt;b&gt;</Message>\
             </Error></Errors><RequestID>id-1</RequestID></Response>"
    ));
    // By the name of the shape or by the code: on the wire it is the code.
    for code in ["DBInstanceNotFoundFault", "DBInstanceNotFound"] {
        let said = said("rds", "DescribeDBInstances", code);
        assert!(
            said.contains("<Type>Sender</Type><Code>DBInstanceNotFound</Code>"),
            "{said}"
        );
    }
    assert_eq!(
        said("backup", "StartRestoreJob", "ResourceNotFoundException"),
        r#"{"__type":"ResourceNotFoundException","Code":"ResourceNotFoundException","Message":"a <b>","Type":"Client"}"#
    );
    assert_eq!(
        said("dynamodb", "Scan", "ResourceNotFoundException"),
        r#"{"__type":"ResourceNotFoundException","message":"a <b>"}"#
    );
    assert!(problem::undeclared(
        &models("backup"),
        "StartRestoreJob",
        "NoSuchThing"
    ));
    assert!(!problem::undeclared(
        &models("ec2"),
        "DeleteVolume",
        "NoSuchThing"
    ));
}

/// The example of the vendor's own documentation ("Create a signed request", IAM's ListUsers).
#[test]
fn the_vendors_example_of_a_signature_holds() {
    let keys = Keys {
        account: "1".into(),
        access_key: "AKIDEXAMPLE".into(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
    };
    let signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let header = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature={signature}"
    );
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    let mut request = Request {
        method: "GET".into(),
        path: "/".into(),
        query: "Action=ListUsers&Version=2010-05-08".into(),
        headers: [
            ("content-type", form),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            ("authorization", &header),
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into(),
        ..Request::default()
    };
    let scope = sigv4::verify(&request, std::slice::from_ref(&keys)).expect("the example holds");
    assert_eq!(
        (scope.region.as_str(), scope.service.as_str()),
        ("us-east-1", "iam")
    );
    request.query.push_str("&More=1");
    let said = sigv4::verify(&request, &[keys]);
    assert!(matches!(said, Err(Unbelieved::Wrong(_))));
}

#[test]
fn a_signature_covers_path_body_and_scope() {
    let fine = || {
        signed(
            rest_request("PUT", "/a%3Ab?x=1&a", "{}"),
            "eu-central-1",
            "backup",
        )
    };
    let verify = |request: &Request| sigv4::verify(request, &[keys()]);
    assert_eq!(verify(&fine()).expect("it is ours").account, keys().account);
    let spoiled: [fn(&mut Request); 5] = [
        |r| r.path.push('x'),
        |r| r.body.push(b' '),
        |r| r.query = "x=2&a".into(),
        |r| r.headers[0].1.push('x'),
        |r| {
            r.headers
                .push(("x-amz-security-token".into(), "not signed".into()))
        },
    ];
    for spoil in spoiled {
        let mut request = fine();
        spoil(&mut request);
        assert!(matches!(verify(&request), Err(Unbelieved::Wrong(_))));
    }
    let mut other = fine();
    other.headers[2].1 = other.headers[2].1.replace("eu-central-1", "eu-west-1");
    assert!(matches!(verify(&other), Err(Unbelieved::Wrong(s)) if s.region == "eu-west-1"));
    let unsigned = rest_request("GET", "/", "");
    assert_eq!(verify(&unsigned), Err(Unbelieved::Missing));
}
