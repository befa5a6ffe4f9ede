use aws_sdk_ec2::types::{
    EbsInstanceBlockDevice, EbsStatusSummary, InstanceBlockDeviceMapping, InstanceState,
    InstanceStatusSummary, InstanceType, Placement, StateReason,
};
use base64::Engine as _;
use std::time::Duration;

use super::fresh::{minutes, user_data};
use super::*;

#[test]
fn substitutes_come_in_the_documents_order_and_none_twice() {
    let others = ["b".to_owned(), "a".to_owned(), "c".to_owned()];
    assert_eq!(types("a", &others), ["a", "b", "c"]);
    assert_eq!(types("a", &[]), ["a"]);
    assert!(none_left(&["a"], "why").reason.contains("no substitutes"));
    assert!(none_left(&["a", "b"], "why").reason.contains("a, b"));
}

#[test]
fn the_dead_mans_switch_is_a_script_with_the_minutes() {
    let text = base64::engine::general_purpose::STANDARD.decode(user_data(90));
    let text = String::from_utf8(text.unwrap()).unwrap();
    assert!(text.starts_with("#!/bin/sh\n"));
    assert!(text.contains("--on-active=90min") && text.contains("shutdown -P +90"));
    assert_eq!(minutes(Duration::from_secs(24 * 3600)), 1440);
    assert_eq!(minutes(Duration::from_secs(10)), 60);
}

fn status(instance: &str, system: &str, disks: Option<&str>) -> InstanceStatus {
    let summary = |text: &str| {
        InstanceStatusSummary::builder()
            .status(SummaryStatus::from(text))
            .build()
    };
    let disks = disks.map(|text| {
        EbsStatusSummary::builder()
            .status(SummaryStatus::from(text))
            .build()
    });
    InstanceStatus::builder()
        .instance_status(summary(instance))
        .system_status(summary(system))
        .set_attached_ebs_status(disks)
        .build()
}

#[test]
fn an_instance_is_fit_when_machine_system_and_disks_are() {
    assert!(is_fit(&status("ok", "ok", Some("ok"))));
    assert!(is_fit(&status("ok", "ok", Some("not-applicable"))));
    assert!(is_fit(&status("ok", "ok", None)));
    assert!(!is_fit(&status("ok", "ok", Some("initializing"))));
    assert!(!is_fit(&status("ok", "initializing", Some("ok"))));
    assert!(!is_fit(&status("impaired", "ok", Some("ok"))));
    assert!(!is_fit(&InstanceStatus::builder().build()));
}

fn instance(state: InstanceStateName, public: Option<&str>) -> Ec2Instance {
    let disk = EbsInstanceBlockDevice::builder().volume_id("vol-1").build();
    Ec2Instance::builder()
        .instance_id("i-1")
        .instance_type(InstanceType::from("m7g.large"))
        .placement(Placement::builder().availability_zone("z").build())
        .private_ip_address("10.213.0.7")
        .set_public_ip_address(public.map(str::to_owned))
        .state(InstanceState::builder().name(state).build())
        .state_reason(StateReason::builder().message("Server.X").build())
        .block_device_mappings(InstanceBlockDeviceMapping::builder().ebs(disk).build())
        .build()
}

#[test]
fn the_address_is_the_one_that_the_document_wants() {
    let ssh = |private| AwsSsh {
        user: "admin".into(),
        port: 22,
        identity: None,
        host_key: None,
        private,
        sudo: None,
    };
    let both = instance(InstanceStateName::Running, Some("198.51.100.1"));
    let address = |of: &Ec2Instance, ssh: Option<&AwsSsh>| {
        let one = known(of, ssh).and_then(|one| one.address);
        one.map(|address| address.to_string())
    };
    assert_eq!(
        address(&both, Some(&ssh(false))).as_deref(),
        Some("198.51.100.1")
    );
    assert_eq!(
        address(&both, Some(&ssh(true))).as_deref(),
        Some("10.213.0.7")
    );
    let inside = instance(InstanceStateName::Running, None);
    assert_eq!(
        address(&inside, Some(&ssh(false))).as_deref(),
        Some("10.213.0.7")
    );
    assert_eq!(
        address(&instance(InstanceStateName::Running, Some("no")), None).as_deref(),
        Some("10.213.0.7")
    );
    assert_eq!(volumes(&both), ["vol-1"]);
    assert!(known(&Ec2Instance::builder().build(), None).is_none());
}

#[test]
fn one_that_ended_on_its_way_is_not_waited_for() {
    let ended = broken(&instance(InstanceStateName::Terminated, None)).unwrap();
    assert!(ended.message.contains("Server.X"));
    assert!(broken(&instance(InstanceStateName::Pending, None)).is_none());
    assert!(broken(&instance(InstanceStateName::Running, None)).is_none());
}
