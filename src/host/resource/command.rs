//! `command`: a rule's own check, fix and undo: the way out where no other resource fits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Judgement, Resource, Unfixable, Verdict};
use crate::host::intent::{Intent, Risk, ScriptIntent, Stage};
use crate::host::probe::Queries;
use crate::host::snapshot::{Seen, Snapshot};
use crate::shell::{clean, quote};

/// A check of the rule's own, in sh, with a fix and an undo if there can be any.
///
/// The check runs in a subshell of the observing program: status 0 is as demanded, 100 is not
/// applicable, anything else fails; what it prints is shown as what was seen. It must change
/// nothing. The fix runs only where the check still fails, and the check must hold after it.
///
/// Traps: each check costs the host a fork and what it runs, where other resources share one
/// among all rules: use another kind where one fits. Pieces run under `set -u` with `LC_ALL=C`, in
/// whatever sh the host has; `fix` may leave files at `"$store/$step.NAME"` for `undo`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// sh. 0: as demanded; 100: not applicable, and what it prints is the reason; else it fails.
    pub check: String,
    /// What is demanded, for a person.
    pub expected: String,
    /// sh that brings it about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// sh that brings back what was, exactly, also where `fix` came only half way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// How much harm the fix could do.
    #[serde(default = "disruptive")]
    pub risk: Risk,
}

fn disruptive() -> Risk {
    Risk::Disruptive
}

const NOT_APPLICABLE: i32 = 100;

impl Command {
    /// Equal checks are run once, so the id is made of the check.
    fn id(&self) -> String {
        let digest = Sha256::digest(self.check.as_bytes());
        let hex: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("c{hex}")
    }
}

impl Resource for Command {
    fn target(&self) -> String {
        self.expected.clone()
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if self.check.trim().is_empty() {
            out.push(("check", "the check is empty".into()));
        }
        match (&self.fix, &self.undo) {
            (Some(_), None) => out.push(("undo", "a fix needs an undo".into())),
            (None, Some(_)) => out.push(("fix", "there is an undo, but no fix".into())),
            _ => {}
        }
        for (field, text) in [
            ("check", Some(&self.check)),
            ("fix", self.fix.as_ref()),
            ("undo", self.undo.as_ref()),
        ] {
            if text.is_some_and(|t| t.contains('\0')) {
                out.push((field, "a program cannot hold a NUL byte".into()));
            }
        }
        out
    }

    fn ask(&self, queries: &mut Queries) {
        queries.commands.insert(self.id(), self.check.clone());
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.expected.as_str();
        let outcome = match snapshot.commands.get(&self.id()) {
            Some(Seen::Yes(outcome)) => outcome,
            Some(Seen::No(why)) => return Judgement::unknown(expected, why.clone()),
            Some(Seen::Absent) => return Judgement::unknown(expected, "the check did not run"),
            None => return Judgement::unknown(expected, "was not asked for"),
        };
        let output = outcome.output.trim();
        match outcome.status {
            0 => Judgement::new(Verdict::Pass, expected, output),
            NOT_APPLICABLE => {
                let why = if output.is_empty() {
                    "the check says so"
                } else {
                    output
                };
                Judgement::not_applicable(expected, why)
            }
            // The shell's own words for a program that is not there or cannot run.
            126 | 127 => {
                let why = format!("the check could not run: {}", clean(output, 200));
                Judgement::unknown(expected, why)
            }
            // Ended by a signal: the time-out, say.
            status if status > 128 => {
                let why = format!("the check was ended by signal {}", status - 128);
                Judgement::unknown(expected, why)
            }
            status => {
                let judgement = Judgement::new(Verdict::Fail, expected, output);
                if output.is_empty() {
                    judgement.because(format!("the check ended with status {status}"))
                } else {
                    judgement
                }
            }
        }
    }

    fn fix(&self, _: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let (Some(fix), Some(undo)) = (&self.fix, &self.undo) else {
            return Err(Unfixable::new(
                "the rule has a check of its own, and no fix",
            ));
        };
        let (check, fix, undo) = (quote(&self.check)?, quote(fix)?, quote(undo)?);
        let holds = format!("(eval {check}) >/dev/null 2>&1");
        Ok(vec![Intent::Script(ScriptIntent {
            target: format!("command {}", self.id()),
            before: format!("not: {}", self.expected),
            after: self.expected.clone(),
            risk: self.risk,
            stage: match self.risk {
                Risk::LockOut => Stage::Access,
                _ => Stage::Service,
            },
            // Neither right by now, nor no longer applicable.
            guard: format!("{holds}\n[ $? -ne 0 ] && [ $? -ne {NOT_APPLICABLE} ]"),
            act: format!(
                "(eval {fix}) || return 1\n\
                 {holds} || {{ echo 'the fix ended well, and the check fails still' >&2; return 1; }}"
            ),
            undo: format!("(eval {undo})"),
            unchanged_since: holds,
            no_way_back: None,
            reaction: None,
        })])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, snippet};
    use crate::host::snapshot::CommandOutcome;

    fn rule(yaml: &str) -> Command {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn verdict(status: i32, output: &str) -> Verdict {
        let rule = rule("{check: 'true', expected: x}");
        let mut s = Snapshot::default();
        let output = output.to_owned();
        s.commands
            .insert(rule.id(), Seen::Yes(CommandOutcome { status, output }));
        rule.judge(&s).verdict
    }

    #[test]
    fn the_status_decides() {
        assert_eq!(verdict(0, ""), Verdict::Pass);
        assert_eq!(verdict(1, ""), Verdict::Fail);
        assert_eq!(verdict(2, "why"), Verdict::Fail);
        assert_eq!(verdict(100, ""), Verdict::NotApplicable);
        assert_eq!(verdict(127, "x: not found"), Verdict::Unknown);
        assert_eq!(verdict(152, ""), Verdict::Unknown);
        let unseen = rule("{check: 'true', expected: x}").judge(&Snapshot::default());
        assert_eq!(unseen.verdict, Verdict::Unknown);
    }

    #[test]
    fn fix_and_undo_come_together() {
        let s = Snapshot::default();
        assert!(rule("{check: 'true', expected: x}").fix(&s).is_err());
        assert_eq!(
            rule("{check: 'true', expected: x, fix: 'true'}").problems()[0].0,
            "undo"
        );
        assert_eq!(
            rule("{check: 'true', expected: x, undo: 'true'}").problems()[0].0,
            "fix"
        );
        assert_eq!(rule("{check: ' ', expected: x}").problems()[0].0, "check");
    }

    #[test]
    fn scripts_change_and_bring_back_under_every_shell() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's");
        let at = quote(&file.display().to_string()).unwrap();
        let rule = Command {
            check: format!("[ -e {at} ] || exit 3"),
            expected: "it is there".into(),
            fix: Some(format!("echo done >{at}; exit 0")),
            undo: Some(format!("rm {at}")),
            risk: Risk::Safe,
        };
        let intents = rule.fix(&Snapshot::default()).unwrap();
        let [Intent::Script(sh)] = intents.as_slice() else {
            panic!("{intents:?}");
        };
        for shell in SHELLS {
            let run = |text: &str| snippet(shell, dir.path(), text);
            assert!(run(&sh.guard).0, "{shell:?}");
            assert!(!run(&sh.unchanged_since).0);
            assert_eq!(run(&sh.act), (true, String::new()), "{shell:?}");
            assert!(file.exists());
            assert!(!run(&sh.guard).0 && run(&sh.unchanged_since).0);
            assert!(run(&sh.undo).0);
            assert!(!file.exists());
        }
        let vain = Command {
            fix: Some("true".into()),
            ..rule
        };
        let intents = vain.fix(&Snapshot::default()).unwrap();
        let [Intent::Script(sh)] = intents.as_slice() else {
            panic!("{intents:?}");
        };
        let (ok, said) = snippet(SHELLS[0], dir.path(), &sh.act);
        assert!(!ok && said.contains("fails still"), "{said}");
    }
}
