//! Credentials that end in the middle, and those of others.

use super::super::stage::Left;
use super::*;
use crate::fake_aws::server::{ACCESS_KEY, Options, SECRET};
use crate::fake_aws::sigv4::Keys;

/// The restore runs then.
const END_S: f64 = 400.0;
const BACK_S: f64 = 520.0;

fn until(back_s: Option<f64>) -> Ran {
    let script = Script {
        credentials_end_s: Some(END_S),
        credentials_back_s: back_s,
        rate_mb_s: Some(20.0),
        ..Script::default()
    };
    ran_at(300.0, script, steps::pair)
}

#[test]
fn credentials_that_never_come_back() {
    let ran = until(None);
    assert_ne!(ran.end.verdict.word, VerdictWord::Met, "{}", ran.told());
    assert!(!ran.end.left.is_empty(), "{}", ran.told());
    assert!(!ran.stage.aws.left().is_empty(), "{}", ran.told());
    ran.says("left behind");
    ran.says("renew the credentials");
    ran.is_fair();
    // Somebody has renewed them.
    ran.stage.aws.set_script(Script::default());
    let left = ran.stage.clear(&ran.id, &ran.plan);
    assert_eq!(left, Vec::<String>::new(), "{}", ran.told());
    ran.is_gone();
}

#[test]
fn credentials_that_come_back() {
    let ran = until(Some(BACK_S));
    // What was measured meanwhile is not made better than it is.
    assert_ne!(ran.end.verdict.word, VerdictWord::Met, "{}", ran.told());
    ran.says("renew the credentials");
    if !ran.end.left.is_empty() {
        ran.says("left behind");
        // They are back when the clock is there; who sweeps by hand sees that.
        let clock = ran.stage.aws.clock();
        clock.advance((BACK_S - clock.elapsed()).max(0.0));
        let left = ran.stage.clear(&ran.id, &ran.plan);
        assert_eq!(left, Vec::<String>::new(), "{}", ran.told());
    }
    ran.is_gone();
}

/// What another account does not have is not gone.
#[test]
fn a_sweep_with_the_credentials_of_another_account_takes_nothing_for_gone() {
    const OTHER: &str = "AKIAOFANOTHERACCOUNT";
    let mut options = Options {
        speed: 2000.0,
        ..Options::default()
    };
    options.keys.push(Keys {
        account: "444455556666".into(),
        access_key: OTHER.into(),
        secret: SECRET.into(),
    });
    let mut stage = Stage::with(options);
    let plan = stage.plan(&document(&stage, steps::pair));
    let (id, left) = stage.run_lines(&plan, 70);
    assert!(matches!(left, Left::Dead));
    let there = stage.aws.left();
    assert!(!there.is_empty());

    stage.key = OTHER;
    let end = stage.sweep(&id, &plan, None).end();
    let mut ran = Ran {
        stage,
        plan,
        id,
        end,
    };
    assert_ne!(ran.end.verdict.word, VerdictWord::Met, "{}", ran.told());
    assert!(!ran.end.left.is_empty(), "{}", ran.told());
    // The private key's file is on this machine, and is nobody else's.
    let entries = seawall::drill::ledger::read(&ran.stage.records(&ran.id));
    let gone = entries.iter().filter(|entry| entry.gone);
    let gone: Vec<&str> = gone.map(|entry| entry.kind.as_str()).collect();
    assert!(gone.iter().all(|kind| *kind == "key-file"), "{gone:?}");
    assert!(ran.told().contains("these credentials are of 444455556666"));

    ran.stage.key = ACCESS_KEY;
    let left = ran.stage.clear(&ran.id, &ran.plan);
    assert_eq!(left, Vec::<String>::new(), "{}", ran.told());
    ran.is_gone();
}
