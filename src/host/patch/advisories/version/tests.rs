use std::process::Command;

use proptest::prelude::*;

use super::*;

#[test]
fn debian_versions_are_in_order() {
    for (less, more) in [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0~~", "1.0~"),
        ("1.0", "1.0+b1"),
        ("1.0-1", "1.0-1+deb12u1"),
        ("1.0-1~deb12u1", "1.0-1"),
        ("9.9", "1:0.1"),
        ("1.0-1", "1.0-1.1"),
        ("1.0a", "1.0+"),
        ("1.0", "1.0a"),
        ("3.0.11-1~deb12u2", "3.0.14-1~deb12u1"),
        ("1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u10"),
        ("5.36.0-7", "5.36.0-7+deb12u1"),
        ("2:1.0-1", "10:0.1-1"),
        ("18446744073709551616", "18446744073709551617"),
    ] {
        assert_eq!(debian(less, more), Ordering::Less, "{less} {more}");
        assert_eq!(debian(more, less), Ordering::Greater, "{more} {less}");
    }
    for (a, b) in [
        ("1.0", "0:1.0"),
        ("1.0-0", "1.0"),
        ("1.01", "1.1"),
        ("1.0", "1.0-"),
    ] {
        assert_eq!(debian(a, b), Ordering::Equal, "{a} {b}");
    }
}

#[test]
fn rpm_versions_are_in_order() {
    for (less, more) in [
        ("1.0", "1.1"),
        ("1.9", "1.10"),
        ("1.0~rc1", "1.0"),
        ("1.0~rc1", "1.0~rc2"),
        ("1.0", "1.0^git1"),
        ("1.0^git1", "1.0.1"),
        ("1.0~rc1^git1", "1.0"),
        ("1.0", "1.0.1"),
        ("1.0a", "1.0.1"),
        ("a", "1"),
        ("2.0.1", "2.0.1a"),
        ("9.9-1", "1:0.1-1"),
        ("5.14.0-427.13.1.el9_4", "5.14.0-427.20.1.el9_4"),
        ("3.0.7-24.el9", "3.0.7-27.el9"),
        ("1.0-1.el9_3", "1.0-1.el9_4"),
    ] {
        assert_eq!(rpm(less, more), Ordering::Less, "{less} {more}");
        assert_eq!(rpm(more, less), Ordering::Greater, "{more} {less}");
    }
    for (a, b) in [
        ("1.0", "0:1.0"),
        ("1.0", "1.0-5.el9"),
        ("1.01", "1.1"),
        ("1_0", "1.0"),
        ("1.0.", "1.0"),
    ] {
        assert_eq!(rpm(a, b), Ordering::Equal, "{a} {b}");
    }
}

/// Versions as dpkg takes them.
fn valid() -> impl Strategy<Value = String> {
    (
        "([0-9]{1,3}:)?",
        "[0-9][0-9a-cA.+~]{0,8}",
        "(-[0-9a-c.+~]{1,5})?",
    )
        .prop_map(|(epoch, upstream, revision)| format!("{epoch}{upstream}{revision}"))
}

/// Needs dpkg; where there is none (not on a Debian), there is nothing to compare with.
#[test]
fn debian_versions_are_in_dpkgs_order() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        eprintln!("no dpkg here: not compared with it");
        return;
    }
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 120,
        ..ProptestConfig::default()
    });
    // Close relatives: the same beginning, and other ends.
    let pair = (valid(), valid(), 0..10_usize).prop_map(|(a, b, cut)| {
        let head: String = a.chars().take(cut).collect();
        match head.is_empty() {
            true => (a, b),
            false => (a, format!("{head}{}", b.replace([':', '-'], "."))),
        }
    });
    let same = runner.run(&pair, |(a, b)| {
        for (word, order) in [("lt", Ordering::Less), ("eq", Ordering::Equal)] {
            let dpkg = Command::new("dpkg")
                .args(["--compare-versions", &a, word, &b])
                .output()
                .unwrap();
            // It complains of what is no version (a cut epoch), and is no measure then.
            if dpkg.stderr.is_empty() {
                prop_assert_eq!(
                    dpkg.status.success(),
                    debian(&a, &b) == order,
                    "{} {} {}",
                    a,
                    word,
                    b
                );
            }
        }
        Ok(())
    });
    same.unwrap();
}

fn any_version() -> impl Strategy<Value = String> {
    prop_oneof![valid(), "[0-2a.~^:-]{0,8}", "\\PC{0,12}"]
}

proptest! {
    #[test]
    fn an_order_is_an_order(a in any_version(), b in any_version(), c in any_version()) {
        for rules in [Rules::Debian, Rules::Rpm] {
            prop_assert_eq!(rules.compare(&a, &a), Ordering::Equal);
            prop_assert_eq!(rules.compare(&a, &b), rules.compare(&b, &a).reverse());
            // With rpm, what has no release equals every release: that is no order of three.
            let whole = [&a, &b, &c].iter().all(|v| v.contains('-'));
            let mut all = [&a, &b, &c];
            if rules == Rules::Debian || whole && all.iter().all(|v| !v.ends_with('-')) {
                all.sort_by(|x, y| rules.compare(x, y));
                prop_assert_ne!(rules.compare(all[0], all[2]), Ordering::Greater);
            }
        }
    }
}
