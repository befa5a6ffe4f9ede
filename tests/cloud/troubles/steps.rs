//! Steps for small drills, over what `seed::example` has backed up.

use super::super::stage::{IMAGE, LOST};

pub fn arn(service: &str, rest: &str) -> String {
    format!("arn:aws:{service}:{LOST}:111122223333:{rest}")
}

/// The smallest of the volumes.
pub fn volume_arn() -> String {
    arn("ec2", "volume/vol-0000000000000d003")
}

/// Whether there is data behind an id, asked of the double from an instance.
fn full(url: &str, on: &str, id: &str) -> String {
    format!(
        "    proofs:
      - proof: there is data in it
        on: {on}
        command:
          run: [busybox, wget, -qO-, \"{url}/_fake/data?id={{{{ {id} }}}}\"]
          contains: full
"
    )
}

/// A fresh instance; `substitutes`: `[t3.small]`.
pub fn jump(substitutes: &str) -> String {
    format!(
        "  - step: jump
    aws: {{fresh: {{image: {IMAGE}, type: t3.micro, substitutes: {substitutes}, ssh: {{user: root}}}}}}
    proofs:
      - {{proof: it answers, command: {{run: [echo, hello], contains: hello}}}}
"
    )
}

/// On the instance of `jump`. `by`: `by: ec2, `; `more`: lines of the step.
pub fn volume(url: &str, by: &str, wait: &str, more: &str) -> String {
    format!(
        "  - step: data
    needs: [jump]
{more}    aws:
      resource: {}
      wait: {wait}
      volume: {{{by}attach: {{to: jump, device: /dev/sdf}}}}
{}",
        volume_arn(),
        full(url, "jump", "steps.data.volume")
    )
}

/// `jump` and a volume that AWS Backup restores.
pub fn pair(url: &str) -> Vec<String> {
    vec![jump("[]"), volume(url, "", "usable", "")]
}

pub fn machine(url: &str, substitutes: &str) -> String {
    format!(
        "  - step: machine
    aws:
      resource: {}
      instance:
        type: m7g.large
        substitutes: {substitutes}
        ssh: {{user: root, identity: key}}
{}",
        arn("ec2", "instance/i-0000000000000a002"),
        full(url, "machine", "steps.machine.instance")
    )
}

/// It needs no instance: DynamoDB itself is asked.
pub fn carts() -> String {
    format!(
        "  - step: carts
    aws: {{resource: \"{}\", dynamodb: {{}}}}
    proofs:
      - proof: there are carts
        items: {{at_least: 250, key: {{id: cart-0007}}, has: {{total: 35}}}}
",
        arn("dynamodb", "table/carts")
    )
}

/// `more`: lines of the step.
pub fn orders(url: &str, more: &str) -> String {
    format!(
        "  - step: orders
    needs: [jump]
{more}    aws: {{resource: \"{}\", rds: {{}}}}
{}",
        arn("rds", "db:orders"),
        full(url, "jump", "steps.orders.endpoint")
    )
}

pub fn ledger(url: &str) -> String {
    format!(
        "  - step: ledger
    needs: [jump]
    aws: {{resource: \"{}\", aurora: {{engine: aurora-postgresql, class: db.r7g.large}}}}
{}",
        arn("rds", "cluster:ledger"),
        full(url, "jump", "steps.ledger.endpoint")
    )
}

/// `efs`: `{}`, or where it is mounted.
pub fn shared(url: &str, efs: &str) -> String {
    format!(
        "  - step: shared
    needs: [jump]
    aws: {{resource: \"{}\", efs: {efs}}}
{}",
        arn("elasticfilesystem", "file-system/fs-0000000000000e001"),
        full(url, "jump", "steps.shared.file_system")
    )
}
