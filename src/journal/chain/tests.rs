use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::journal::tests::note;
use crate::journal::{ChainState, Clock, FixedClock, JournalWriter, Runs};
use crate::sign::Trusted;

struct Site {
    _state: tempfile::TempDir,
    path: PathBuf,
    runs: Runs,
    /// Each time that it is asked a second later.
    clock: Arc<dyn Clock>,
}

impl Site {
    fn new() -> Site {
        let state = tempfile::tempdir().unwrap();
        Site {
            path: state.path().to_owned(),
            runs: Runs::new(state.path()),
            _state: state,
            clock: Arc::new(FixedClock::new(
                "2026-11-20T07:35:14Z".parse().unwrap(),
                1000,
            )),
        }
    }

    fn begin(&self) -> (String, JournalWriter) {
        self.runs.create(self.clock.clone(), || 0).unwrap()
    }

    /// A run that comes to its end.
    fn sealed(&self) -> String {
        let (id, mut writer) = self.begin();
        writer.append(&note("x")).unwrap();
        writer.finish().unwrap();
        id
    }

    /// A run whose process dies.
    fn dead(&self) -> String {
        let (id, mut writer) = self.begin();
        writer.append(&note("x")).unwrap();
        id
    }

    fn dir(&self, id: &str) -> PathBuf {
        self.path.join("runs").join(id)
    }

    fn verify(&self) -> ChainState {
        self.runs.verify(&Trusted::default()).unwrap()
    }

    fn problems(&self) -> Vec<String> {
        self.verify().problems
    }

    fn link(&self, id: &str) -> Option<Link> {
        link_in(&self.dir(id)).unwrap()
    }
}

#[test]
fn each_run_names_the_one_before_it() {
    let site = Site::new();
    assert_eq!(site.problems(), Vec::<String>::new(), "no run at all");
    let (a, b) = (site.sealed(), site.dead());
    let (c, mut going) = site.begin();
    let d = site.sealed();
    assert_eq!(site.link(&a), None);
    let link = site.link(&b).unwrap();
    assert_eq!((&link.run, link.line), (&a, None));
    let link = site.link(&c).unwrap();
    assert_eq!((&link.run, link.line), (&b, Some(2)), "all that it wrote");
    let link = site.link(&d).unwrap();
    assert_eq!((&link.run, link.line), (&c, Some(1)), "it was still going");
    let state = site.verify();
    assert_eq!(state.problems, Vec::<String>::new());
    let of = |id: &str| state.runs.iter().find(|run| run.folder.id == id).unwrap();
    assert!(of(&c).going && !of(&b).going && of(&b).chained);
    // What a dead or a going run writes later changes nothing.
    going.append(&note("y")).unwrap();
    going.finish().unwrap();
    let (_, mut again) = site.runs.resume(&b, site.clock.clone()).unwrap();
    again.append(&note("z")).unwrap();
    again.finish().unwrap();
    assert_eq!(site.problems(), Vec::<String>::new());
}

#[test]
fn a_run_that_was_taken_away_is_named() {
    let site = Site::new();
    let ids: Vec<String> = (0..4).map(|_| site.sealed()).collect();
    for gone in &ids {
        let (dir, aside) = (site.dir(gone), site.path.join("aside"));
        std::fs::rename(&dir, &aside).unwrap();
        let told = site.problems();
        assert!(
            told.iter()
                .any(|p| p.starts_with(&format!("run {gone} is missing"))),
            "{told:?}"
        );
        std::fs::rename(&aside, &dir).unwrap();
    }
    // Two of them: the one that nobody names any more shows as a gap.
    std::fs::remove_dir_all(site.dir(&ids[1])).unwrap();
    std::fs::remove_dir_all(site.dir(&ids[2])).unwrap();
    let told = site.problems();
    assert!(
        told[0].starts_with(&format!("run {} is missing", ids[2])),
        "{told:?}"
    );
    assert_eq!(told[1], format!("what followed run {} is missing", ids[0]));
    assert_eq!(told.len(), 2);
}

#[test]
fn the_last_run_that_was_taken_away_stays_named() {
    let site = Site::new();
    let (_, last) = (site.sealed(), site.sealed());
    std::fs::remove_dir_all(site.dir(&last)).unwrap();
    assert!(site.problems().iter().any(|p| p.contains(&last)));
    // Also once another run has been begun, and where all were taken.
    let next = site.sealed();
    assert_eq!(site.link(&next).unwrap().run, last);
    assert!(site.problems()[0].starts_with(&format!("run {last} is missing")));
    std::fs::remove_dir_all(site.path.join("runs")).unwrap();
    assert_eq!(
        site.problems(),
        [format!("run {next} is missing; it was the last")]
    );
}

#[test]
fn a_run_that_was_changed_is_named() {
    let site = Site::new();
    let (a, b) = (site.sealed(), site.dead());
    site.sealed();
    // Written anew from its first line on, whole in itself.
    let rewritten = |id: &str, text: &str, seal: bool| {
        let link = site.link(id);
        std::fs::remove_dir_all(site.dir(id)).unwrap();
        let mut writer = JournalWriter::create(&site.dir(id), site.clock.clone()).unwrap();
        writer.append(&Event::Chained { former: link }).unwrap();
        writer.append(&note(text)).unwrap();
        if seal {
            writer.finish().unwrap();
        }
    };
    rewritten(&a, "better", true);
    assert!(site.verify().runs.iter().all(|run| run.verified.is_ok()));
    let told = site.problems();
    assert!(
        told[0].starts_with(&format!("run {a} was changed: its manifest")),
        "{told:?}"
    );
    rewritten(&b, "better", false);
    assert!(
        site.problems()
            .iter()
            .any(|p| p.starts_with(&format!("run {b} was changed")))
    );
    // A sealed run that is made to look as if it had died.
    std::fs::remove_file(site.dir(&a).join(MANIFEST_FILE)).unwrap();
    assert!(
        site.problems()
            .iter()
            .any(|p| p.contains("its manifest is missing"))
    );
}

#[test]
fn a_run_that_was_cut_off_is_named() {
    let site = Site::new();
    let dead = site.dead();
    site.sealed();
    let path = site.dir(&dead).join(JOURNAL_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.split_inclusive('\n').next().unwrap()).unwrap();
    assert!(site.problems()[0].starts_with(&format!("run {dead} was cut off")));
}

#[test]
fn runs_of_before_the_chain_are_no_gap_and_later_ones_are() {
    let site = Site::new();
    let plain = |id: &str| {
        let mut writer = JournalWriter::create(&site.dir(id), site.clock.clone()).unwrap();
        writer.append(&note("x")).unwrap();
    };
    std::fs::create_dir(site.path.join("runs")).unwrap();
    plain("20251120-073514-aaaa");
    let first = site.sealed();
    assert_eq!(site.link(&first), None);
    assert_eq!(site.problems(), Vec::<String>::new());
    plain("20271120-073514-aaaa");
    assert!(site.problems()[0].contains("names no run before it"));
}

#[test]
fn a_process_that_dies_while_it_begins_leaves_no_gap() {
    let site = Site::new();
    let a = site.sealed();
    let head = std::fs::read(site.path.join(HEAD_FILE)).unwrap();
    let b = site.sealed();
    // It died after its first line, before the chain's end was written.
    std::fs::write(site.path.join(HEAD_FILE), head).unwrap();
    assert_eq!(site.problems(), Vec::<String>::new());
    let c = site.sealed();
    assert_eq!(site.link(&c).unwrap().run, b);
    // And before its first line.
    std::fs::create_dir(site.dir("20261120-073600-aaaa")).unwrap();
    site.sealed();
    let told = site.problems();
    assert!(told.is_empty(), "{told:?}");
    // The chain's end is lost: runs go on from the last, and it is told as long as it is missing.
    std::fs::remove_file(site.path.join(HEAD_FILE)).unwrap();
    assert!(site.problems()[0].contains("chain.json is missing"));
    std::fs::write(
        site.path.join(HEAD_FILE),
        "{\"run\":\"../x\",\"first_line\":\"\"}",
    )
    .unwrap();
    assert!(site.problems()[0].contains("cannot be read"));
    site.sealed();
    assert_eq!(site.problems(), Vec::<String>::new());
    assert_eq!(site.link(&b).unwrap().run, a);
}

#[test]
fn what_died_before_its_first_line_joins_the_chain_when_it_is_taken_up() {
    for torn in ["", "{\"seq\":1,"] {
        let site = Site::new();
        let a = site.sealed();
        // Its id is from before the chain's end, as that of a death in the same second may be.
        let dead = "20261120-073500-aaaa";
        drop(JournalWriter::create(&site.dir(dead), site.clock.clone()).unwrap());
        std::fs::write(site.dir(dead).join(JOURNAL_FILE), torn).unwrap();
        let b = site.sealed();
        assert_eq!(site.link(&b).unwrap().run, a);
        let head = std::fs::read(site.path.join(HEAD_FILE)).unwrap();
        let (_, mut writer) = site.runs.resume(dead, site.clock.clone()).unwrap();
        writer.append(&note("x")).unwrap();
        writer.finish().unwrap();
        assert_eq!(site.link(dead).unwrap().run, b);
        assert_eq!(site.problems(), Vec::<String>::new());
        // It died again, before the chain's end was written.
        std::fs::write(site.path.join(HEAD_FILE), head).unwrap();
        let c = site.sealed();
        assert_eq!(site.link(&c).unwrap().run, dead);
        assert_eq!(site.problems(), Vec::<String>::new());
    }
}

#[test]
fn many_that_begin_at_once_follow_each_other() {
    let site = Site::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    site.sealed();
                }
            });
        }
    });
    let state = site.verify();
    assert_eq!(state.problems, Vec::<String>::new());
    assert_eq!(state.runs.len(), 40);
}

#[test]
fn forks_rings_and_strange_names_are_told() {
    let link = |run: &str| {
        Some(Some(Link {
            run: run.into(),
            line: Some(0),
            sha256: String::new(),
        }))
    };
    let places = |links: &[(&str, Option<Option<Link>>)]| -> BTreeMap<String, Place> {
        (links.iter())
            .map(|(id, link)| {
                let place = Place {
                    link: link.clone(),
                    ..Place::default()
                };
                (id.to_string(), place)
            })
            .collect()
    };
    let head = |run: &str| {
        Ok(Some(Head {
            run: run.into(),
            first_line: String::new(),
        }))
    };
    let order = places(&[
        ("a", link("c")),
        ("b", Some(None)),
        ("c", link("b")),
        ("d", None),
    ]);
    assert_eq!(in_order(&order), ["b", "c", "a", "d"]);
    let fork = places(&[("a", Some(None)), ("b", link("a")), ("c", link("a"))]);
    assert!(judge(&fork, &head("c"))[0].contains("b, c all follow run a"));
    let ring = places(&[("a", link("b")), ("b", link("a")), ("c", Some(None))]);
    assert!(judge(&ring, &head("c")).iter().any(|p| p.contains("ring")));
    assert_eq!(in_order(&ring).len(), 3);
    let itself = places(&[("a", link("a"))]);
    assert!(!judge(&itself, &head("a")).is_empty());
    let two = places(&[("a", Some(None)), ("b", Some(None))]);
    assert!(
        judge(&two, &head("b"))
            .iter()
            .any(|p| p.contains("the first"))
    );
    let strange = places(&[("a", link("../\u{1b}[2J"))]);
    assert!(!judge(&strange, &head("a")).concat().contains('\u{1b}'));
}
