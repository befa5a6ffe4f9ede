//! Drills for tests.

use crate::document::drill::Drill;

/// One with these steps.
pub(in crate::cloud) fn drill(steps: &str) -> Drill {
    let text = format!(
        r#"
drill: test
title: A test
lost: {{what: the first region, regions: [eu-west-1]}}
scratch:
  aws: {{account: "111122223333", region: eu-central-1, vault: dr, restore_role: "arn:aws:iam::111122223333:role/restore"}}
objectives: {{}}
steps:
{steps}
"#
    );
    serde_yaml::from_str(&text).expect("a drill")
}
