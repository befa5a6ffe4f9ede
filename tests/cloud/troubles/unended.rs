//! A restore job that comes to no end: nobody can cancel it.

use super::*;

#[test]
fn a_stuck_job_ends_with_its_step_and_what_it_leaves_is_named() {
    let script = every_job(JobTrouble {
        stuck: true,
        ..JobTrouble::default()
    });
    let ran = ran_at(2000.0, script, |url| {
        vec![steps::jump("[]"), steps::orders(url, "    deadline: 30m\n")]
    });
    assert_eq!(ran.end.verdict.word, VerdictWord::Missed, "{}", ran.told());
    ran.says("waiting for the restore job");
    ran.says("it was not so after 30 minutes");
    ran.says("left behind");
    ran.is_fair();
    let left = ran.end.left.join("\n");
    assert!(left.contains("restore-job seawall-"), "{left}");
    // The instance that it is filling can be priced.
    assert!(left.contains(" USD a day)"), "{left}");

    let now = ran.stage.aws.clock().now();
    ran.stage.aws.set_script(Script::default());
    ran.jobs(|state| {
        for job in &mut state.jobs {
            job.end = Default::default();
            job.ends = now;
        }
    });
    ran.stage.aws.with_world(|world| {
        let state = &mut world.region_of(ACCOUNT, SCRATCH).rds;
        for instance in state.instances.values_mut() {
            instance.ready = now;
        }
    });
    let left = ran.stage.clear(&ran.id, &ran.plan);
    assert_eq!(left, Vec::<String>::new());
    ran.is_gone();
}

/// The service names what a job creates at its end only.
#[test]
fn a_stuck_job_whose_volume_nobody_can_know_is_named_itself() {
    let script = every_job(JobTrouble {
        stuck: true,
        ..JobTrouble::default()
    });
    let ran = ran_at(2000.0, script, |url| {
        let deadline = "    deadline: 30m\n";
        vec![
            steps::jump("[]"),
            steps::volume(url, "", "usable", deadline),
        ]
    });
    assert_eq!(ran.end.verdict.word, VerdictWord::Missed, "{}", ran.told());
    ran.says("left behind: restore-job seawall-");
    let left = ran.stage.aws.left();
    assert!(
        left.iter().any(|one| one.contains("restore-job")),
        "{left:?}"
    );
    ran.is_fair();
}
