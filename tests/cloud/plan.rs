//! `seawall drill plan` of a drill in AWS, as a person reads it.

use super::site::{Site, above, said};
use super::stage::{LOST, SCRATCH};

fn document(network: &str, rpo: &str) -> String {
    format!(
        "{}
  - step: jump
    aws:
      fresh: {{image: ami-0000000000000f002, type: t3.micro, substitutes: [t3.small], ssh: {{user: root}}}}
    proofs:
      - {{proof: it answers, command: {{run: [echo, hello], contains: hello}}}}
  - step: documents
    needs: [jump]
    aws:
      resource: arn:aws:ec2:{LOST}:111122223333:volume/vol-0000000000000d001
      volume: {{by: ec2, initialisation_rate: 200, attach: {{to: jump, mount: /srv}}}}
    proofs:
      - {{proof: there is data, files: {{at_least: 10}}}}
  - step: orders
    needs: [jump]
    aws: {{resource: \"arn:aws:rds:{LOST}:111122223333:db:orders\", rds: {{class: db.m7g.large}}}}
    proofs:
      - {{proof: it answers, on: jump, command: {{run: [echo, hello], contains: hello}}}}
",
        above(SCRATCH, network).replace("rpo: 26h", rpo)
    )
}

/// Each text that bears this word, without it, its lines put together.
fn about(text: &str, word: &str) -> Vec<String> {
    let label = format!("  {word:<9} ");
    let mut found: Vec<String> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        match (line.strip_prefix(&label), line.strip_prefix("            ")) {
            (Some(first), _) => found.push(first.to_owned()),
            (None, Some(more)) if within => {
                if let Some(last) = found.last_mut() {
                    *last = format!("{last} {more}");
                }
                continue;
            }
            _ => {}
        }
        within = line.starts_with(&label);
    }
    found
}

#[test]
fn a_plan_says_what_is_met_what_would_be_made_and_what_it_costs() {
    let site = Site::new();
    let network = "    network: {gateway: controller, controller: 203.0.113.7/32}\n";
    site.write("drill.yaml", &document(network, "rpo: 26h"));
    let told = said(&mut site.command(&["drill", "plan", "drill.yaml"]));
    assert_eq!(told.code, Some(0), "{}", told.text);
    let text = &told.out;
    for line in [
        "            no request goes to eu-west-1",
        "scratch     AWS account 111122223333, eu-central-1",
        "            network 10.213.0.0/16, one route, to 203.0.113.7/32",
        "  1. jump: a new EC2 instance (t3.micro) of ami-0000000000000f002",
        "     how         where there is no capacity for it: t3.small",
        "     how         gp3, by EC2, filled at 200 MiB/s",
        "     how         on the instance of jump as /dev/sdf, mounted at /srv",
        "     how         of the class db.m7g.large",
        "Nothing was written. `seawall drill run` carries it out.",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let needs = about(text, "needs");
    assert!(
        needs[0].contains("are met; ") && needs[0].contains("would be ASSUMED"),
        "{text}"
    );
    assert_eq!(about(text, "NOT MET"), Vec::<String>::new(), "{text}");
    // What nobody could ask is not called met.
    let quotas = |line: &String| line.contains("quotas and classes of RDS");
    assert!(about(text, "ASSUMED").iter().any(quotas), "{text}");
    assert!(!about(text, "met").iter().any(quotas), "{text}");
    let makes = &about(text, "makes")[0];
    for thing in [
        "1 × VPC",
        "1 × volume",
        "1 × EC2 instance",
        "1 × RDS instance",
        "1 × key pair",
    ] {
        assert!(makes.contains(thing), "{thing}: {makes}");
    }
    assert!(
        about(text, "in")[0].starts_with("the zone eu-central-1"),
        "{text}"
    );
    assert_eq!(
        about(text, "restores"),
        ["140.0 GiB from 2 recovery points"],
        "{text}"
    );
    let data = &about(text, "data")[0];
    assert!(
        data.contains("2.0 hours old") && data.contains("within the RPO of 26h"),
        "{data}"
    );
    let costs = &about(text, "costs")[0];
    assert!(
        costs.contains("USD if it takes its RTO of 4h") && costs.contains("each day"),
        "{costs}"
    );
    let unproved = about(text, "unproved");
    assert!(
        unproved
            .iter()
            .any(|line| line.contains("this was not AWS")),
        "{text}"
    );
    let met = about(text, "met");
    for check in [
        "the account is the one that the drill names: 111122223333",
        "the vault bears the tag seawall:scratch=yes",
        "a recovery point for the step documents: data of ",
        "the quota of storage in gp3 volumes, in TiB: 50 are allowed",
    ] {
        assert!(
            met.iter().any(|line| line.starts_with(check)),
            "{check}\n{text}"
        );
    }
    // It only asked.
    let log = site.aws.log();
    assert!(!log.is_empty() && log.iter().all(|one| one.region == SCRATCH));
    assert_eq!(site.aws.left(), Vec::<String>::new());
}

#[test]
fn a_plan_says_first_what_is_amiss() {
    let site = Site::new();
    let more = "    network: {gateway: controller, controller: 203.0.113.7/32}
    marker: {key: other, value: \"no\"}
";
    site.write("drill.yaml", &document(more, "rpo: 1h"));
    let told = said(&mut site.command(&["drill", "plan", "drill.yaml"]));
    let text = &told.out;
    let needs = &about(text, "needs")[0];
    assert!(
        needs.contains("NOT met: the drill would be refused"),
        "{}",
        told.text
    );
    let unmet = about(text, "NOT MET");
    assert!(
        unmet[0].starts_with("the vault bears the tag other=no"),
        "{text}"
    );
    let place = |word: &str| text.find(&format!("\n  {word:<9} ")).unwrap_or(usize::MAX);
    assert!(place("needs") < place("NOT MET"), "{text}");
    assert!(place("NOT MET") < place("makes"), "{text}");
    assert!(place("makes") < place("met"), "{text}");
    assert!(
        about(text, "data")[0].contains("over the RPO of 1h"),
        "{text}"
    );
}
