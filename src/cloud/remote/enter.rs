//! The first log-in to an instance: its host key, patience while it boots, and the dead man's switch.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::shell::{self, fault, passes};
use super::{Remarks, console, door};
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::poll::{Asked, Pace, Schedule, until};
use crate::cloud::provider::{Inner, Work};
use crate::cloud::state::Instance;
use crate::drill::provider::StepError;
use crate::reach::{Phase, Target};
use crate::shell::{clean, quote};

/// How long EC2 may take to hand out what the instance printed. Its documentation speaks of minutes.
const CONSOLE: Duration = Duration::from_secs(600);
/// How long a log-in may be refused: sshd may answer before the account and its key are there.
const REFUSED: Duration = Duration::from_secs(300);
/// How long one small program may take.
const SHORT: Duration = Duration::from_secs(60);

pub async fn log_in(
    work: &Work<'_>,
    step: &str,
    instance: &Instance,
) -> Result<Remarks, StepError> {
    let inner = work.inner;
    let document = inner.step(step);
    let Some((ssh, fresh)) = document.and_then(door::ssh_of) else {
        return Ok(Remarks::default());
    };
    let run = &work.context.drill.run;
    let target = door::target(inner, run, step, instance)?;
    let (keys, whence) = match &ssh.host_key {
        Some(key) => (vec![console::named(key)?], "as the drill's document says"),
        None => (printed(work, instance).await?, "from its console"),
    };
    door::know(inner, run, step, &target, &keys)?;
    wait_for(inner, &target, work.step().deadline.0).await?;
    let mut said = vec![format!("logged in to {}, host key {whence}", target.name)];
    if !fresh {
        said.push(arm(inner, run, &target, instance).await);
    }
    Ok(Remarks {
        detail: said,
        doubts: Vec::new(),
    })
}

/// The host keys that the instance printed as it booted.
async fn printed(work: &Work<'_>, instance: &Instance) -> Result<Vec<String>, StepError> {
    let what = format!("reading the host keys of {} from its console", instance.id);
    // Only Nitro instances have the latest output; others have what is posted after the boot.
    let latest = Mutex::new(true);
    let keys = until(
        work.clients.pace,
        Schedule::QUICK,
        CONSOLE,
        &what,
        true,
        || async {
            let wish = *latest.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = (work.clients.ec2)
                .get_console_output()
                .instance_id(&instance.id)
                .set_latest(wish.then_some(true))
                .send()
                .await;
            let output = match asked.map_err(|e| Fault::of(&what, e)) {
                Ok(output) => output,
                Err(fault) if wish && fault.code.as_deref() == Some("UnsupportedOperation") => {
                    *latest.lock().unwrap_or_else(PoisonError::into_inner) = false;
                    return Ok(Asked::Wait(None));
                }
                Err(fault) => return Err(fault),
            };
            let text = console::text(output.output().unwrap_or_default());
            Ok(match console::host_keys(&text) {
                keys if keys.is_empty() => Asked::Wait(None),
                keys => Asked::Ready(keys),
            })
        },
    )
    .await;
    keys.map_err(|fault| {
        let mut error = StepError::from(fault);
        error.reason.push_str(
            ". Without its key the instance is not spoken to: an image whose cloud-init prints no \
             host keys needs `ssh: {host_key: …}` in the drill's document",
        );
        error
    })
}

/// Until a program of ours runs there, with the rights that it needs.
async fn wait_for(inner: &Inner, target: &Target, deadline: Duration) -> Result<(), StepError> {
    let pace = Pace(inner.setup.access.pace);
    let what = format!("logging in to {}", target.name);
    let first_refusal: Mutex<Option<Instant>> = Mutex::new(None);
    let entered = until(pace, Schedule::QUICK, deadline, &what, false, || async {
        let error = match enter(inner, target).await {
            Ok(()) => return Ok(Asked::Ready(())),
            Err(error) => error,
        };
        let patient = match error.phase {
            phase if passes(phase) => true,
            Phase::Login | Phase::Start | Phase::Sudo | Phase::Run => {
                let mut first = first_refusal.lock().unwrap_or_else(PoisonError::into_inner);
                let since = first.get_or_insert_with(Instant::now).elapsed();
                pace.stretched(since) < REFUSED
            }
            // Another's key, or a file of ours that is not there: it stays so.
            _ => false,
        };
        Err(fault(
            &what,
            &error,
            match patient {
                true => FaultKind::Passing,
                false => FaultKind::Ours,
            },
        ))
    });
    Ok(entered.await?)
}

async fn enter(inner: &Inner, target: &Target) -> Result<(), crate::reach::ReachError> {
    let mut session = inner.setup.reach.connect(target).await?;
    let mut nothing = |_: &[u8]| std::ops::ControlFlow::Continue(());
    let ended = session.run(":\n", SHORT, &mut nothing).await;
    session.close().await;
    ended.map(drop)
}

/// Sets a timer on a restored instance that ends it, should nobody come back. In words: whether.
async fn arm(inner: &Inner, run: &str, target: &Target, instance: &Instance) -> String {
    let minutes = inner.scratch.expires.0.as_secs().div_ceil(60).max(1);
    let (functions, calls) = match program(run, &instance.id, minutes, "/") {
        Ok(program) => program,
        Err(why) => return format!("no dead man's switch: {why}"),
    };
    match shell::run(inner, target, &functions, &calls, SHORT, 1 << 10).await {
        Ok(ran) if ran.well() => format!(
            "dead man's switch: it powers itself off in {minutes} minutes ({})",
            ran.said(80)
        ),
        Ok(ran) => format!("no dead man's switch: {}", clean(&ran.said(200), 200)),
        Err(why) => format!("no dead man's switch: {}", clean(&why, 300)),
    }
}

/// Powers the instance off after so many minutes; nothing, on any machine but that instance: what
/// the firmware says must be both EC2 and the instance's own id. `root` is `/` but in tests.
fn program(
    run: &str,
    instance: &str,
    minutes: u64,
    root: &str,
) -> Result<(String, String), crate::shell::NulInText> {
    let (root, instance) = (quote(root.trim_end_matches('/'))?, quote(instance)?);
    let unit = quote(&format!("seawall-expiry-{run}"))?;
    let functions = format!(
        r#"arm() {{
  slurp {root}/sys/class/dmi/id/sys_vendor && [ "$REPLY" = 'Amazon EC2' ] ||
    {{ echo 'the firmware does not say that this is EC2'; return 1; }}
  slurp {root}/sys/class/dmi/id/board_asset_tag && [ "$REPLY" = {instance} ] ||
    {{ echo 'the firmware names another instance, or none'; return 1; }}
  if [ -d {root}/run/systemd/system ] && have systemd-run; then
    systemctl stop {unit}.timer >/dev/null 2>&1
    systemd-run --quiet --collect --unit={unit} --on-active={minutes}m systemctl poweroff &&
      {{ echo 'a timer of systemd'; return 0; }}
  fi
  have shutdown || {{ echo 'it has neither systemd nor shutdown'; return 1; }}
  nohup shutdown -P +{minutes} >/dev/null 2>&1 &
  echo shutdown
}}"#
    );
    Ok((functions, "arm; exit $?".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::{Nonce, assemble};

    /// What it says on a machine whose firmware says this.
    fn said(files: &[(&str, &str)], root: &std::path::Path) -> String {
        for (name, text) in files {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let (functions, calls) = program("r", "i-0abc", 60, root.to_str().unwrap()).unwrap();
        // Nothing of the machine that tests run on can be ended by it.
        let harmless = "have() { return 1; }\nsystemctl() { :; }\nshutdown() { :; }\n";
        let text = assemble(&Nonce::draw(), &format!("{harmless}{functions}"), &calls);
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(text)
            .output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    }

    #[test]
    fn only_the_instance_itself_is_ever_powered_off() {
        let vendor = "sys/class/dmi/id/sys_vendor";
        let tag = "sys/class/dmi/id/board_asset_tag";
        let dir = || tempfile::tempdir().unwrap();
        assert!(said(&[], dir().path()).contains("does not say that this is EC2"));
        assert!(said(&[(vendor, "QEMU\n"), (tag, "i-0abc\n")], dir().path()).contains("EC2"));
        let other = said(
            &[(vendor, "Amazon EC2\n"), (tag, "i-0abcd\n")],
            dir().path(),
        );
        assert!(other.contains("another instance"), "{other}");
        let none = said(&[(vendor, "Amazon EC2\n")], dir().path());
        assert!(none.contains("another instance"), "{none}");
        let itself = said(&[(vendor, "Amazon EC2\n"), (tag, "i-0abc\n")], dir().path());
        assert!(itself.contains("neither systemd nor shutdown"), "{itself}");
    }
}
