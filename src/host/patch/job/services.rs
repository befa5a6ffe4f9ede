//! Jobs beside the package manager: restarts, a hook, a reboot. Pure.

use crate::shell::{Nonce, NulInText, assemble, clean, quote};

use super::Job;

const SERVICES: &str = include_str!("sh/services.sh");
const CHECKS: &str = include_str!("sh/checks.sh");
const REBOOT: &str = include_str!("sh/reboot.sh");

/// How long one unit may take to restart, in seconds.
const RESTART_SECONDS: u64 = 120;

/// Restarts these units, one after the other (that which we log in by last); says `restarted UNIT
/// 0|1 DETAIL` for each. `systemd-manager` is systemd itself. Ends with 1 where one did not come up
/// again. Job `restart`.
///
/// # Errors
/// When a text cannot stand in a program.
pub fn restart(units: &[String]) -> Result<Job, NulInText> {
    let last = |unit: &str| matches!(unit, "ssh" | "sshd" | "ssh.service" | "sshd.service");
    let mut calls = format!("seconds={RESTART_SECONDS}\nbegin_restarts\n");
    let (ours, others): (Vec<&String>, Vec<&String>) = units.iter().partition(|u| last(u));
    for unit in others.into_iter().chain(ours) {
        if is_unit(unit) {
            calls.push_str(&format!("restart_unit {}\n", quote(unit)?));
        } else {
            calls.push_str(&format!(
                "bad=1\nsay restarted {} '1 no unit has such a name'\n",
                quote(&clean(unit, 100))?
            ));
        }
    }
    calls.push_str("job_end \"$bad\"");
    let limit = 60 + units.len() as u64 * (RESTART_SECONDS + 15);
    Ok(Job::new(
        "restart",
        "restarting services",
        SERVICES,
        &calls,
        limit,
    ))
}

/// Whether it names one unit: no option, no pattern.
fn is_unit(unit: &str) -> bool {
    unit.len() <= 255
        && unit.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && unit
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c))
}

/// Runs the playbook's command before a change, for `limit` seconds at most. Job `snapshot`.
///
/// # Errors
/// When the command holds a NUL.
pub fn hook(command: &str, limit: u64) -> Result<Job, NulInText> {
    Ok(Job::new(
        "snapshot",
        "taking a snapshot",
        "",
        &format!("umask 022\nsh -c {}", quote(command)?),
        limit.max(1),
    ))
}

/// Defines `health_checks`, which runs the playbook's own checks (name, command, seconds), one after
/// the other. A program, not a job: it may be asked again and again. Frame `check N STATUS OUTPUT`
/// for each, N its place from 0 on (a name may hold what a frame's cannot); 124: it took too long.
/// At most 16 kB of what each says.
///
/// # Errors
/// When a command holds a NUL.
pub fn check_functions(commands: &[(String, String, u64)]) -> Result<String, NulInText> {
    let mut out = format!("{CHECKS}\nhealth_checks() {{\n:\n");
    for (index, (_, command, limit)) in commands.iter().enumerate() {
        out.push_str(&format!(
            "health_check {index} {} {}\n",
            (*limit).max(1),
            quote(command)?
        ));
    }
    out.push_str("}\n");
    Ok(out)
}

/// Asks the host to reboot, a few seconds from now, so that this program still ends; does nothing
/// where the boot id is no longer `boot_id`. Frame `end reboot`: 0 asked, 1 it is another boot
/// already, 2 it cannot be asked (the data says why).
///
/// # Errors
/// When the boot id holds a NUL.
pub fn reboot_program(boot_id: &str, nonce: &Nonce) -> Result<String, NulInText> {
    Ok(assemble(
        nonce,
        REBOOT,
        &format!("ask_reboot {}", quote(boot_id)?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_log_in_by_is_restarted_last_and_strange_names_never() {
        let units: Vec<String> = [
            "ssh.service",
            "a@b.service",
            "*.service",
            "--force",
            "x\\x2dy",
        ]
        .map(String::from)
        .to_vec();
        let calls = restart(&units).unwrap().calls;
        let at = |what: &str| {
            calls
                .find(what)
                .unwrap_or_else(|| panic!("{what}: {calls}"))
        };
        assert!(at("restart_unit 'ssh.service'") > at("restart_unit 'x\\x2dy'"));
        assert!(at("restart_unit 'a@b.service'") < at("restart_unit 'ssh.service'"));
        assert!(!calls.contains("restart_unit '*") && !calls.contains("restart_unit '-"));
        assert!(calls.contains("say restarted '*.service' '1 "));
    }
}
