//! Programs that die, hang or meet somebody who means harm: the host is never left half changed.

use super::*;

impl Sandbox {
    fn said(&self, run: &RunId, plan: &Plan) -> Vec<Frame> {
        let nonce = Nonce::draw();
        let program =
            act_program(run, plan, 60, ("", ""), &nonce).expect("the program can be written");
        self.frames(&program, &nonce)
    }

    /// The watchdog of a run is killed, and is dead when this returns.
    fn kill_watchdog(&self, run: &str) {
        self.sh(&format!(
            "read p r </var/lib/seawall/{run}/watching; kill -9 $p; while kill -0 $p 2>/dev/null; do sleep 0.1; done"
        ));
    }

    fn expire(&self, run: &str) {
        self.sh(&format!("echo 0 >/var/lib/seawall/{run}/deadline"));
    }
}

fn only(steps: Vec<Step>) -> Plan {
    Plan {
        steps,
        blocked: BTreeMap::new(),
    }
}

fn one_more(text: &str) -> Plan {
    only(vec![step(
        "s1",
        Work::File(file("/var/lib/t/more", None, Some(text))),
    )])
}

#[test]
fn a_run_whose_watchdog_is_dead_is_undone_by_the_next_one() {
    let lose: [&dyn Fn(&Sandbox); 3] = [
        &|s| s.kill_watchdog("lost"),
        // The host was started anew: whoever has that pid now is somebody else.
        &|s| {
            s.sh("cd /var/lib/seawall/lost; read p b i <watching; kill -9 $p; echo \"$$ $b other-boot\" >watching");
        },
        // It died in the middle of its undo.
        &|s| {
            s.kill_watchdog("lost");
            s.sh("cd /var/lib/seawall; mv pending lost/undoing");
        },
    ];
    for lose in lose {
        let sandbox = prepared();
        let before = sandbox.state();
        let lost = run_id("lost");
        sandbox.act(&lost, &plan(), 60);
        assert_ne!(sandbox.state(), before);
        lose(&sandbox);
        let frames = sandbox.said(&run_id("next"), &one_more("x"));
        let settled = frames
            .iter()
            .find(|f| f.kind == "settled")
            .expect("it is said");
        assert_eq!((settled.name.as_str(), settled.status), ("lost", 0));
        assert_eq!(sandbox.how_far(&lost), "undone 0");
        assert_eq!(sandbox.how_far(&run_id("next")), "pending");
        assert_eq!(sandbox.rollback(&run_id("next"), &[], false).0, 0);
        assert_eq!(sandbox.state(), before);
    }
}

#[test]
fn nothing_is_begun_while_another_run_is_being_undone() {
    let sandbox = prepared();
    let slow = only(vec![step("s1", script("true", "sleep 6"))]);
    sandbox.act(&run_id("slow"), &slow, 60);
    sandbox.expire("slow");
    sandbox.await_state(&run_id("slow"), "undoing");
    let frames = sandbox.said(&run_id("next"), &one_more("x"));
    let end = frames
        .iter()
        .find(|f| f.kind == "end")
        .expect("it is refused");
    assert_eq!(end.status, 71, "{}", end.text());
    assert!(end.text().contains("slow"), "{}", end.text());
    assert_eq!(
        sandbox.rollback(&run_id("slow"), &[], true).0,
        71,
        "nor is it undone twice at once"
    );
    sandbox.await_state(&run_id("slow"), "undone 0");
    assert_eq!(
        sandbox.act(&run_id("next2"), &one_more("x"), 60)["step s1"],
        0
    );
}

#[test]
fn a_program_that_hangs_is_ended_before_its_run_is_undone() {
    let sandbox = prepared();
    let before = sandbox.state();
    let mut plan = plan();
    plan.steps.push(step(
        "s7",
        script(
            "(while :; do echo again >/var/lib/t/old; sleep 0.1; done) >/dev/null 2>&1 & sleep 500; echo x >/var/lib/t/x",
            "true",
        ),
    ));
    plan.steps.push(step(
        "s8",
        script("echo y >/var/lib/t/y", "rm -f /var/lib/t/y"),
    ));
    let run = run_id("hangs");
    std::thread::scope(|scope| {
        let acting = scope.spawn(|| sandbox.said(&run, &plan));
        let until = Instant::now() + Duration::from_secs(30);
        while sandbox.sh("cat /var/lib/t/old") != "again\n" {
            assert!(Instant::now() < until, "the step is never begun");
        }
        sandbox.expire("hangs");
        let frames = acting.join().expect("the program ends");
        assert!(frames.iter().all(|f| f.kind != "end"), "it was cut short");
    });
    sandbox.await_state(&run, "undone 0");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(sandbox.state(), before);
}

#[test]
fn a_program_that_is_killed_at_any_time_is_undone() {
    for after in [0, 20, 40, 60, 90, 120, 160] {
        let sandbox = prepared();
        let before = sandbox.state();
        let run = run_id("killed");
        std::thread::scope(|scope| {
            let acting = scope.spawn(|| sandbox.said(&run, &plan()));
            let until = Instant::now() + Duration::from_secs(30);
            while sandbox.sh("[ -s /var/lib/seawall/killed/watching ] && echo y") != "y\n" {
                assert!(Instant::now() < until, "it is never armed");
            }
            std::thread::sleep(Duration::from_millis(after));
            sandbox.sh("read p r </var/lib/seawall/killed/acting; kill -9 $p; echo 0 >/var/lib/seawall/killed/deadline");
            acting.join().expect("the program ends");
        });
        sandbox.expire("killed");
        sandbox.await_state(&run, "undone 0");
        assert_eq!(sandbox.state(), before, "killed after {after} ms");
    }
}

#[test]
fn a_run_that_waits_can_be_rolled_back_and_no_other_one_meanwhile() {
    let sandbox = prepared();
    let before = sandbox.state();
    let (old, run) = (run_id("old"), run_id("waits"));
    sandbox.act(&old, &one_more("x"), 60);
    sandbox.keep(&old);
    sandbox.act(&run, &plan(), 60);
    assert_eq!(sandbox.rollback(&old, &[], false).0, 71);
    let (status, log) = sandbox.rollback(&run, &[], false);
    assert_eq!(status, 0, "{log}");
    assert_eq!(sandbox.how_far(&run), "undone 0");
    assert_eq!(sandbox.keep(&run), 1, "it is too late for a keep");
    assert_eq!(sandbox.rollback(&old, &[], false).0, 0);
    assert_eq!(sandbox.state(), before);
}

#[test]
fn what_a_step_says_without_end_does_not_end_the_run() {
    let sandbox = prepared();
    let loud = "head -c 40000000 /dev/zero | tr '\\0' x >&2";
    let plan = only(vec![step("s1", script(loud, "true"))]);
    let frames = sandbox.said(&run_id("loud"), &plan);
    let step = frames
        .iter()
        .find(|f| f.kind == "step")
        .expect("it is told");
    assert_eq!(step.status, 0);
    assert!(step.data.len() <= 4100, "{}", step.data.len());
    assert!(frames.iter().any(|f| f.kind == "end"));
}

#[test]
fn nothing_is_written_where_others_could_swap_it() {
    for mode in ["1777", "775"] {
        let sandbox = prepared();
        sandbox.sh(&format!(
            "cd /var/lib/t && mkdir u && echo mine >u/f && chmod 644 u/f && chown :4242 u && chmod {mode} u"
        ));
        let before = sandbox.state();
        let mut gone = file("/var/lib/t/u/f", Some(seen(0o644, "mine\n")), None);
        gone.remove = true;
        for work in [
            file("/var/lib/t/u/f", Some(seen(0o644, "mine\n")), Some("x\n")),
            file("/var/lib/t/u/new", None, Some("x\n")),
            file("/var/lib/t/u/d/new", None, Some("x\n")),
            gone,
        ] {
            let run = run_id(&Nonce::draw().as_str()[..20]);
            let said = sandbox.act(&run, &only(vec![step("s1", Work::File(work))]), 60);
            assert_eq!(said.get("step s1"), Some(&1), "{said:?}");
            assert_eq!(sandbox.state(), before);
        }
    }
}

#[test]
fn a_mode_is_set_on_that_file_and_on_none_that_a_link_leads_to() {
    let sandbox = prepared();
    sandbox.sh(
        "cd /var/lib/t && mkdir u secret && echo key >secret/f && chmod 600 secret/f && echo mine >u/f && chmod 600 u/f && \
         chown 4242 u && ln -s ../secret u/d",
    );
    let before = sandbox.state();
    let wanted = |path: &str| {
        let mut own = file(path, Some(seen(0o600, "")), None);
        own.before.as_mut().expect("it is there").content = Seen::Absent;
        own.own = Some(Ownership::root(0o644));
        only(vec![step("s1", Work::File(own))])
    };
    let said = sandbox.act(&run_id("led"), &wanted("/var/lib/t/u/d/f"), 60);
    assert_eq!(said.get("step s1"), Some(&1), "{said:?}");
    assert_eq!(sandbox.state(), before);
    // What is really there can be set, and set back.
    let run = run_id("true");
    let said = sandbox.act(&run, &wanted("/var/lib/t/u/f"), 60);
    assert_eq!(said.get("step s1"), Some(&0), "{said:?}");
    assert_eq!(sandbox.sh("stat -c %a /var/lib/t/u/f"), "644\n");
    assert_eq!(sandbox.rollback(&run, &[], false).0, 0);
    assert_eq!(sandbox.state(), before);
}

#[test]
fn what_became_of_another_kind_is_left_alone() {
    let sandbox = prepared();
    sandbox.sh("cd /var/lib/t && rm own && mkdir own && chmod 666 own");
    let before = sandbox.state();
    let mut own = file("/var/lib/t/own", Some(seen(0o666, "")), None);
    own.before.as_mut().expect("it is there").content = Seen::Absent;
    own.own = Some(Ownership::root(0o600));
    let said = sandbox.act(
        &run_id("kind"),
        &only(vec![step("s1", Work::File(own))]),
        60,
    );
    assert_eq!(said.get("step s1"), Some(&75), "{said:?}");
    assert_eq!(sandbox.state(), before);
}

#[test]
fn a_file_that_an_earlier_step_changed_is_left_alone() {
    let sandbox = prepared();
    let mut plan = plan();
    plan.steps.truncate(1);
    plan.steps.insert(
        0,
        step("s9", script("echo package >/var/lib/t/old", "true")),
    );
    let said = sandbox.act(&run_id("earlier"), &plan, 60);
    assert_eq!(said.get("step s1"), Some(&75), "{said:?}");
    assert_eq!(sandbox.sh("cat /var/lib/t/old"), "package\n");
}

#[test]
fn a_mounted_file_is_changed_in_place_and_gets_its_mode_back() {
    let sandbox = prepared();
    sandbox.sh("cd /var/lib/t && mount --bind old old");
    let before = sandbox.state();
    let mut work = file("/var/lib/t/old", Some(seen(0o604, "old\n")), Some(TEXT));
    work.own = Some(Ownership {
        group: "daemon".into(),
        ..Ownership::root(0o640)
    });
    let run = run_id("mounted");
    let plan = only(vec![step("s1", Work::File(work))]);
    let said = sandbox.act(&run, &plan, 60);
    assert_eq!(said.get("step s1"), Some(&0), "{said:?}");
    assert_eq!(sandbox.sh("stat -c '%a %G' /var/lib/t/old"), "640 daemon\n");
    sandbox.keep(&run);
    let (status, log) = sandbox.rollback(&run, &[], false);
    assert_eq!(status, 0, "{log}");
    assert_eq!(sandbox.state(), before);
    // Where not even that can be, nothing is left beside it, and nothing is to be undone.
    sandbox.sh("mount -o remount,ro,bind /var/lib/t/old");
    let said = sandbox.act(&run_id("fixed"), &plan, 60);
    assert_eq!(said.get("step s1"), Some(&1), "{said:?}");
    assert_eq!(sandbox.how_far(&run_id("fixed")), "kept");
    assert_eq!(sandbox.state(), before);
}

#[test]
fn a_disk_that_fills_up_does_not_stop_the_undo() {
    let sandbox = prepared();
    let before = sandbox.state();
    let run = run_id("fills");
    sandbox.act(&run, &plan(), 60);
    sandbox.sh("dd if=/dev/zero of=/var/lib/fill bs=1k count=64000 2>/dev/null; sync");
    sandbox.expire("fills");
    sandbox.await_state(&run, "undone 0");
    assert_eq!(sandbox.state(), before);
}

#[test]
fn what_lets_us_in_takes_effect_before_slow_things_are_undone() {
    let sandbox = prepared();
    let mut plan = plan();
    plan.steps.truncate(1);
    plan.steps[0].stage = Stage::Access;
    plan.steps[0].reaction = Some(Reaction {
        name: "reload".into(),
        run: "echo reload >>/var/lib/order".into(),
    });
    let mut package = step("s9", script("true", "echo package >>/var/lib/order"));
    package.stage = Stage::Package;
    plan.steps.insert(0, package);
    let run = run_id("order");
    sandbox.act(&run, &plan, 60);
    sandbox.sh("rm /var/lib/order");
    assert_eq!(sandbox.rollback(&run, &[], false).0, 0);
    assert_eq!(sandbox.sh("cat /var/lib/order"), "reload\npackage\n");
}

#[test]
fn the_store_is_roots_alone() {
    let sandbox = prepared();
    sandbox.sh("mkdir -m 777 /var/lib/seawall");
    sandbox.act(&run_id("modes"), &plan(), 60);
    assert_eq!(
        sandbox.sh("cd /var/lib/seawall && find . -perm /077 ! -name '*.orig'; stat -c %a ."),
        "700\n"
    );
}
