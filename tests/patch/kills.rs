//! SIGKILL of the controller at random moments of a run on six hosts: whatever was going on, `resume`
//! ends it with each host done or as it was, none half-configured, and a report that is true.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::{Duration, Instant};

use super::yard::{Yard, host, names, outcome};
use crate::end_to_end::site::{Ran, ran};

const HOSTS: usize = 6;
const PACKAGES: &str = "sea-app sea-daemon sea-slow";
/// One host's update fails its gate, so that a way back is killed as well.
const ILL: usize = 5;
const LINES: &str = "waves: [2, 4]\nfailure_budget: 2\nhealth: {within: 4s}\n";

/// A small generator: the moments are the same on each run, though what they hit is not.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Kills it after a while; whether it was still alive then.
fn killed(mut child: Child, after: Duration) -> bool {
    std::thread::sleep(after);
    child.kill().expect("it can be killed");
    // What it wrote is of no use; its pipes must not keep it.
    drop((child.stdout.take(), child.stderr.take()));
    child.wait().expect("its end").signal() == Some(9)
}

fn everyone<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let all: Vec<_> = (0..HOSTS).map(|n| scope.spawn(move || work(n))).collect();
        let joined = all.into_iter().map(|one| one.join());
        joined
            .map(|one| one.expect("a host could be worked on"))
            .collect()
    })
}

/// Last week's versions again, whatever there is.
fn put_back(yard: &Yard) {
    everyone(|n| {
        yard.on(
            n,
            "cd /var/cache/apt/archives && dpkg -i --force-downgrade *_1.0-1_*.deb >/dev/null 2>&1 && \
             systemctl restart sea-daemon.service && rm -f *_2.0-1_*.deb && rm -rf /var/lib/seawall/patch",
        );
    });
}

type Versions = BTreeMap<String, String>;

fn ends_true(yard: &Yard, run: &Ran, before: &[Versions]) {
    let after: Vec<Versions> = everyone(|n| {
        yard.assert_whole(n);
        yard.versions(n)
    });
    for n in 0..HOSTS {
        let name = yard.name(n);
        let done: Versions = before[n]
            .keys()
            .map(|p| {
                let version = if p == "sea-daemon" { "1.0-1" } else { "2.0-1" };
                (p.clone(), version.to_owned())
            })
            .collect();
        let (wanted, word) = match outcome(run, &name) {
            "patched" => (&done, "done"),
            "went-back" | "not-started" | "left-out" => (&before[n], "as it was"),
            other => panic!("{name} ended as {other}: {run}"),
        };
        assert_eq!(&after[n], wanted, "{name} is {word}: {run}");
        let said = names(&host(run, &name)["changed"]);
        let changed: Vec<&str> = match outcome(run, &name) {
            "patched" => before[n]
                .keys()
                .map(String::as_str)
                .filter(|p| *p != "sea-daemon")
                .collect(),
            _ => continue,
        };
        assert_eq!(said, changed, "{name} is told as it is: {run}");
    }
    let ill = outcome(run, &yard.name(ILL));
    assert!(matches!(ill, "went-back" | "not-started"), "{run}");
    assert!(matches!(run.code, 0 | 1), "{run}");
}

#[test]
fn a_run_whose_controller_is_killed_again_and_again_ends_true() {
    let kills = number("SEAWALL_PATCH_KILLS").unwrap_or(10);
    let mut dice = Dice(number("SEAWALL_PATCH_SEED").unwrap_or(20_261_120));
    let yard = Yard::of(HOSTS, PACKAGES);
    yard.on(ILL, "apt-get -qy install sea-fails=1.0-1 </dev/null");
    everyone(|n| yard.on(n, "echo 1 >/etc/sea-slow.seconds"));
    put_back(&yard);
    let before: Vec<Versions> = everyone(|n| yard.versions(n));
    let start = Instant::now();
    let whole = yard.patch("run", LINES, &[]);
    let lasts = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    ends_true(&yard, &whole, &before);
    let (mut done, mut rounds, mut untouched) = (0, 0, 0);
    while done < kills {
        put_back(&yard);
        let former = yard.newest();
        let playbook = yard.playbook(LINES).display().to_string();
        let moment = Duration::from_millis(dice.below(lasts));
        if !killed(yard.spawn("run", &playbook), moment) {
            continue;
        }
        done += 1;
        let Some(run) = yard.newest().filter(|new| Some(new) != former.as_ref()) else {
            // It had not yet begun a run.
            assert_eq!(everyone(|n| yard.versions(n)), before);
            untouched += 1;
            continue;
        };
        // Those who come to help may be killed too, twice at most.
        let mut helpers = dice.below(3);
        while helpers > 0 && done < kills {
            helpers -= 1;
            let moment = Duration::from_millis(dice.below(lasts));
            if killed(yard.spawn("resume", &run), moment) {
                done += 1;
            }
        }
        let ended = yard.spawn("resume", &run);
        let ended = ran(ended.wait_with_output().expect("it ends"));
        let ended = match ended.json.is_null() {
            // It had come to its end before it could be killed: its report is what counts.
            true => yard.site.run(&["report", &run, "--json"]),
            false => ended,
        };
        if ended.json["hosts"].as_array().is_none_or(Vec::is_empty) {
            // Killed before a host was named in the journal.
            assert_eq!(everyone(|n| yard.versions(n)), before, "{ended}");
            untouched += 1;
            continue;
        }
        ends_true(&yard, &ended, &before);
        rounds += 1;
    }
    println!("{done} kills: {rounds} runs ended true, {untouched} had done nothing yet");
    let verified = yard.site.run(&["verify", "--all"]);
    assert_eq!(verified.code, 0, "{verified}");
}
