//! Acting: the program that changes a host, the undo that it leaves there, and the watchdog that
//! runs the undo unless it is told to keep.
//!
//! On the host, `/var/lib/seawall/pending` holds the id of the run that waits to be confirmed.
//! Whoever renames it first decides: the *keep* program to `RUN/kept`, the watchdog to
//! `RUN/undoing`. Marks in `RUN/` say how far each step came: `begun.sN`, `done.sN`, `undone.sN`.

use crate::shell::{Nonce, NulInText, assemble, quote};

use super::intent::Stage;
use super::plan::{FileWork, Plan, Step, Work, text_hash};
use super::snapshot::{FileKind, Seen};

const HOLD_LIB: &str = include_str!("sh/hold_lib.sh");
const UNDO_LIB: &str = include_str!("sh/undo_lib.sh");
const ACT_LIB: &str = include_str!("sh/act_lib.sh");
const WATCH: &str = include_str!("sh/watch.sh");

/// Where runs keep what an undo needs, on every host. Root's, 0700.
pub const STORE: &str = "/var/lib/seawall";

/// How long a package step may take before the watchdog believes that it died, in seconds.
const PACKAGE_SECONDS: u64 = 1800;

/// How long the observation after the change may take, in seconds.
const OBSERVE_SECONDS: u64 = 120;

/// Exit words of the act program, in the status of its `end act` frame.
pub mod ended {
    /// Everything was tried; the steps say how it went.
    pub const WELL: i32 = 0;
    /// The watchdog did not start.
    pub const NO_WATCHDOG: i32 = 70;
    /// Another run is pending on the host.
    pub const BUSY: i32 = 71;
    /// The undo store cannot be written.
    pub const NO_STORE: i32 = 73;
    /// Not root.
    pub const NOT_ROOT: i32 = 77;
}

/// A run's id as it may stand in a path and in a program: `[A-Za-z0-9-]`, 1 to 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    pub fn new(text: &str) -> Option<RunId> {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-');
        ok.then(|| RunId(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The program that carries out `plan` and then observes again.
///
/// `window` is the time in seconds that the host waits for the keep. `observe` are the observing
/// program's functions and calls.
pub fn act_program(
    run: &RunId,
    plan: &Plan,
    window: u64,
    observe: (&str, &str),
    nonce: &Nonce,
) -> Result<String, NulInText> {
    let undo = undo_script(run, plan)?;
    let watch = format!("{}\n{HOLD_LIB}\n{WATCH}", variables(run));
    let mut functions = format!("{HOLD_LIB}\n{UNDO_LIB}\n{ACT_LIB}\n");
    functions.push_str(&fingerprints(plan)?);
    for step in &plan.steps {
        functions.push_str(&step_functions(step, true)?);
    }
    for (index, (reaction, _)) in reactions(plan).iter().enumerate() {
        functions.push_str(&format!("reaction_{index}() {{\n{}\n}}\n", reaction.run));
    }
    functions.push_str(observe.0);

    let mut calls = format!(
        "{}\nwindow={window}\nsome=\nundo_bytes={}\nwatch_bytes={}\nundo_text={}\nwatch_text={}\n",
        variables(run),
        undo.len(),
        watch.len(),
        quote(&undo)?,
        quote(&watch)?
    );
    calls.push_str("arm\n");
    // Taken at the first file, after what packages bring; not anew after our own scripts, whose
    // changes (a mode that the walk mends, an account's line) are no reason to stop.
    let mut fresh = false;
    for step in &plan.steps {
        match &step.work {
            Work::File(_) if !fresh => {
                calls.push_str("fingerprint\n");
                fresh = true;
            }
            Work::File(_) | Work::Script(_) => {}
        }
        let seconds = match step.stage {
            Stage::Package => PACKAGE_SECONDS,
            _ => window.max(60),
        };
        calls.push_str(&format!("run_step {} {seconds}\n", step.id));
    }
    for (index, (reaction, steps)) in reactions(plan).iter().enumerate() {
        calls.push_str(&format!(
            "run_reaction {} reaction_{index} {} {}\n",
            quote(&reaction.name)?,
            window.max(60),
            steps.join(" ")
        ));
    }
    // The window is for the new log-in: the observation has a time of its own.
    calls.push_str(&format!(
        "release_if_idle\nbeat {}\n",
        window + OBSERVE_SECONDS
    ));
    calls.push_str(observe.1);
    calls.push_str("\nbeat \"$window\"\n");
    calls.push_str("frame end act 0 ''\n");
    Ok(assemble(nonce, &functions, &calls))
}

/// Tells the host to keep the run. Frame `keep RUN`: 0 kept, 1 it is too late (the data says how
/// far: `undoing`, `undone STATUS`, `gone`).
pub fn keep_program(run: &RunId, nonce: &Nonce) -> String {
    let functions = "keep() {\n\
        \x20 IFS= read -r owner 2>/dev/null <\"$base/pending\" || owner=\n\
        \x20 if [ \"$owner\" = \"$run\" ] && mv -T \"$base/pending\" \"$store/kept\" 2>/dev/null; then\n\
        \x20   frame keep \"$run\" 0 ''\n\
        \x20 else\n\
        \x20   how_far; frame keep \"$run\" 1 \"$REPLY\"\n\
        \x20 fi\n}\n";
    assemble(
        nonce,
        &format!("{HOW_FAR}{functions}"),
        &format!("{}\nkeep", variables(run)),
    )
}

/// Undoes what runs left on the host that were neither kept nor undone, where nobody watches over
/// them any more (a reboot, a watchdog that was killed). Frame `settled RUN`: the undo's status
/// and log, for each; frame `end settle`: 0 all is settled, 1 an undo is still under way.
pub fn settle_program(nonce: &Nonce) -> String {
    assemble(
        nonce,
        HOLD_LIB,
        &format!("base={STORE}\nsettle && rc=0 || rc=1\nframe end settle \"$rc\" ''"),
    )
}

/// Asks how far the run is on the host. Frame `state RUN`: `kept`, `pending`, `undoing`,
/// `undone STATUS`, `gone`; frame `boot`: the boot id; frame `log`: the undo's words.
pub fn state_program(run: &RunId, nonce: &Nonce) -> String {
    let calls = format!(
        "{}\nhow_far; frame state \"$run\" 0 \"$REPLY\"\n\
         slurp /proc/sys/kernel/random/boot_id; frame boot id 0 \"$REPLY\"\n\
         slurp \"$store/undo.log\"; frame log undo 0 \"$REPLY\"",
        variables(run)
    );
    assemble(nonce, HOW_FAR, &calls)
}

const HOW_FAR: &str = r#"how_far() {
  IFS= read -r owner 2>/dev/null <"$base/pending" || owner=
  if [ -e "$store/undone" ]; then slurp "$store/undone"; REPLY="undone $REPLY"
  elif [ -e "$store/undoing" ]; then REPLY=undoing
  elif [ "$owner" = "$run" ]; then REPLY=pending
  elif [ -e "$store/kept" ]; then REPLY=kept
  else REPLY=gone; fi
}
"#;

/// Undoes a run that was kept, or that still waits: all steps, or those named. `force` also where
/// a thing was changed since. Frame `undo RUN`: the undo script's status (69: nothing is kept of
/// that run, 71: something else is under way); its lines are `step ID STATUS TEXT`.
pub fn rollback_program(run: &RunId, steps: &[&str], force: bool, nonce: &Nonce) -> String {
    let mode = if force { "force" } else { "careful" };
    let calls = format!("{}\nroll_back {mode} {}", variables(run), steps.join(" "));
    assemble(nonce, &format!("{HOLD_LIB}{ROLL_BACK}"), &calls)
}

const ROLL_BACK: &str = r#"roll_back() {
  if [ ! -r "$store/undo.sh" ]; then
    frame undo "$run" 69 'this host has no undo store of that run'
    return
  fi
  settle || { frame undo "$run" 71 "run $other is being undone on this host right now"; return; }
  IFS= read -r owner 2>/dev/null <"$base/pending" || owner=
  if [ "$owner" = "$run" ] && [ "$#" = 1 ]; then
    # Not kept yet: it is ours to undo, if its watchdog is not quicker.
    claim "$run" || { frame undo "$run" 71 'the host is undoing that run by itself right now'; return; }
    sign "$store/watching"
    undo_all "$store"
    rc=$REPLY
    slurp "$store/undo.log"
    frame undo "$run" "$rc" "$REPLY"
  elif [ "$owner" ]; then
    frame undo "$run" 71 "run $owner is still waiting to be kept or undone on this host"
  else
    out=$(sh "$store/undo.sh" "$@" 2>&1) && rc=0 || rc=$?
    frame undo "$run" "$rc" "$out"
  fi
}
"#;

fn variables(run: &RunId) -> String {
    let run = run.as_str();
    format!("base={STORE} run={run} store={STORE}/{run}")
}

/// What stays on the host: `sh undo.sh force|careful [STEP…]`.
fn undo_script(run: &RunId, plan: &Plan) -> Result<String, NulInText> {
    let mut out = format!(
        "# Undoes Seawall run {} on this host: sh undo.sh force|careful [STEP...]\n\
         set -u\numask 077\nLC_ALL=C; export LC_ALL\n\
         PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH\n\
         have() {{ command -v \"$1\" >/dev/null 2>&1; }}\n{}\n{UNDO_LIB}\n",
        run.as_str(),
        variables(run)
    );
    for step in &plan.steps {
        out.push_str(&step_functions(step, false)?);
    }
    let reactions = reactions(plan);
    for (index, (reaction, _)) in reactions.iter().enumerate() {
        out.push_str(&format!("reaction_{index}() {{\n{}\n}}\n", reaction.run));
    }
    out.push_str("reaction_of() {\n  case $1 in\n");
    for (index, (_, steps)) in reactions.iter().enumerate() {
        out.push_str(&format!("  {}) REPLY={index} ;;\n", steps.join("|")));
    }
    out.push_str("  *) REPLY= ;;\n  esac\n}\n");
    out.push_str("stage_of() {\n  case $1 in\n");
    for step in &plan.steps {
        out.push_str(&format!("  {}) REPLY={:?} ;;\n", step.id, step.stage));
    }
    out.push_str("  *) REPLY= ;;\n  esac\n}\n");
    let all: Vec<&str> = plan.steps.iter().rev().map(|s| s.id.as_str()).collect();
    out.push_str(&UNDO_MAIN.replace("ALL_STEPS", &all.join(" ")));
    Ok(out)
}

const UNDO_MAIN: &str = r#"react() {
  for one in $due; do
    if heard "reaction_$one"; then
      printf 'reaction %s 0 \n' "$one"
    else
      printf 'reaction %s 1 %s\n' "$one" "$(printf '%s' "$REPLY" | tr '\n' ' ')"
      bad=1
    fi
  done
  due=
}
main() {
  mode=$1
  shift
  [ "$#" -gt 0 ] || set -- ALL_STEPS
  bad=0 due= stage=
  for step in "$@"; do
    # What lets us in again takes effect before anything else is undone, however long that takes.
    stage_of "$step"
    [ "$REPLY" = "$stage" ] || react
    stage_of "$step"
    stage=$REPLY
    if [ ! -e "$store/begun.$step" ]; then
      printf 'step %s 73 was not done, or is undone already\n' "$step"
      continue
    fi
    if [ "$mode" = careful ] && ! ("${step}_same") >/dev/null 2>&1; then
      printf 'step %s 75 was changed since by somebody else\n' "$step"
      bad=1
      continue
    fi
    if heard "${step}_undo"; then
      mv -f -T -- "$store/begun.$step" "$store/undone.$step"
      rm -f -- "$store/done.$step"
      printf 'step %s 0 \n' "$step"
      reaction_of "$step"
      case " $due " in *" $REPLY "*) ;; *) due="$due $REPLY" ;; esac
    else
      printf 'step %s 1 %s\n' "$step" "$(printf '%s' "$REPLY" | tr '\n' ' ')"
      bad=1
    fi
  done
  react
  exit "$bad"
}
main "$@" </dev/null
"#;

/// The distinct reactions in the order of their first step, each with its steps.
fn reactions(plan: &Plan) -> Vec<(super::intent::Reaction, Vec<&str>)> {
    let mut out: Vec<(super::intent::Reaction, Vec<&str>)> = Vec::new();
    for step in &plan.steps {
        if let Some(reaction) = &step.reaction {
            match out.iter_mut().find(|(r, _)| r.name == reaction.name) {
                Some((_, steps)) => steps.push(&step.id),
                None => out.push((reaction.clone(), vec![&step.id])),
            }
        }
    }
    out
}

/// One read of all files that shall be changed, so that each guard is a comparison and no fork.
fn fingerprints(plan: &Plan) -> Result<String, NulInText> {
    let (mut hashed, mut stated) = (String::new(), String::new());
    for step in &plan.steps {
        let Work::File(work) = &step.work else {
            continue;
        };
        let Some(before) = &work.before else { continue };
        let path = quote(&work.path)?;
        stated.push(' ');
        stated.push_str(&path);
        if before.kind == FileKind::File && before.content.yes().is_some() {
            hashed.push(' ');
            hashed.push_str(&path);
        }
    }
    let mut out = String::from("fingerprint() {\nhashes= stats=\n");
    if !hashed.is_empty() {
        out.push_str(&format!("hashes=$(sha256sum --{hashed} 2>/dev/null)\n"));
    }
    if !stated.is_empty() {
        out.push_str(&format!(
            "stats=$(stat -c '%f %u %g %n' --{stated} 2>/dev/null)\n"
        ));
    }
    out.push_str("hashes=\"\n$hashes\n\" stats=\"\n$stats\n\"\n}\n");
    Ok(out)
}

/// `sN_guard`, `sN_act` (only where `act` is set), `sN_undo`, `sN_same`.
fn step_functions(step: &Step, act: bool) -> Result<String, NulInText> {
    let id = &step.id;
    let parts = match &step.work {
        Work::File(work) => file_functions(work)?,
        Work::Script(script) => Functions {
            guard: script.guard.clone(),
            act: script.act.clone(),
            undo: script.undo.clone(),
            same: script.unchanged_since.clone(),
        },
    };
    let mut out = String::new();
    let mut function = |name: &str, body: &str| {
        out.push_str(&format!("{id}_{name}() {{\n{}\n:\n}}\n", status_kept(body)));
    };
    if act {
        function("guard", &parts.guard);
        function("act", &parts.act);
    }
    function("undo", &parts.undo);
    function("same", &parts.same);
    Ok(out)
}

/// A body whose own status is the function's, though it may be empty.
fn status_kept(body: &str) -> String {
    if body.trim().is_empty() {
        return String::from("return 0");
    }
    format!("step=${{step:-}}\n{body}\nreturn $?")
}

struct Functions {
    guard: String,
    act: String,
    undo: String,
    same: String,
}

fn file_functions(work: &FileWork) -> Result<Functions, NulInText> {
    let path = quote(&work.path)?;
    let directory = match work.path.rsplit_once('/') {
        Some(("", _)) | None => "/".to_owned(),
        Some((above, _)) => above.to_owned(),
    };
    let directory = quote(&directory)?;
    let chown = |own: &super::intent::Ownership, target: &str| -> Result<String, NulInText> {
        Ok(format!(
            "own {target} {} {:04o}",
            quote(&format!("{}:{}", own.owner, own.group))?,
            own.mode
        ))
    };
    let writes = work.content.is_some() || work.remove;

    // Only ownership, or a directory: nothing to copy, the numbers are known.
    if !writes {
        if work.directory && work.before.is_none() {
            let own = work
                .own
                .clone()
                .unwrap_or_else(|| super::intent::Ownership::root(0o755));
            return Ok(Functions {
                guard: guard(work)?,
                act: format!(
                    "parents {directory} && fenced {directory} && mkdir -- {path} && {}",
                    chown(&own, &path)?
                ),
                undo: format!("if [ -d {path} ]; then rmdir -- {path}; fi && unparent"),
                same: format!("[ -d {path} ]"),
            });
        }
        let (Some(own), Some(before)) = (&work.own, &work.before) else {
            return Ok(Functions {
                guard: "false".into(),
                act: String::new(),
                undo: String::new(),
                same: String::new(),
            });
        };
        return Ok(Functions {
            guard: guard(work)?,
            act: chown(own, &path)?,
            undo: format!(
                "[ \"$(stat -c '%u:%g %a' -- {path})\" = '{0}:{1} {2:o}' ] || own {path} {0}:{1} {2:04o}",
                before.uid, before.gid, before.mode
            ),
            same: same_ownership(own, &path)?,
        });
    }

    let act = if work.remove {
        format!("fenced {directory} && save {path} && rm -f -- {path}")
    } else {
        write_new(work, &path, &directory, &chown)?
    };
    let mut same = if work.remove {
        format!("[ ! -e {path} ] && [ ! -L {path} ]")
    } else {
        let hash = text_hash(work.content.as_deref().unwrap_or_default());
        format!("[ \"$(sha256sum <{path})\" = '{hash}  -' ]")
    };
    if let Some(own) = &work.own
        && !work.remove
    {
        same = format!("{same} && {}", same_ownership(own, &path)?);
    }
    Ok(Functions {
        guard: guard(work)?,
        act,
        undo: format!("put_back {path} && unparent"),
        same,
    })
}

fn same_ownership(own: &super::intent::Ownership, path: &str) -> Result<String, NulInText> {
    let wanted = quote(&format!("{:o} {} {}", own.mode, own.owner, own.group))?;
    Ok(format!(
        "[ \"$(stat -c '%a %U %G' -- {path})\" = {wanted} ]"
    ))
}

/// A new file beside the old one, judged, then put in its place in one move.
fn write_new(
    work: &FileWork,
    path: &str,
    directory: &str,
    chown: &dyn Fn(&super::intent::Ownership, &str) -> Result<String, NulInText>,
) -> Result<String, NulInText> {
    let text = work.content.as_deref().unwrap_or_default();
    let mut out = format!(
        "path={path}\nnew={directory}/.seawall.$step.new\nparents {directory} && fenced {directory} && save \"$path\" || return 1\nrm -f -- \"$new\"\n"
    );
    if work.before.is_some() {
        // The old inode's attributes and ACLs go with it.
        out.push_str("cp -a -T -- \"$path\" \"$new\" || { rm -f -- \"$new\"; return 1; }\n");
    }
    out.push_str(&format!(
        "printf '%s' {} >\"$new\" && written \"$new\" {} || {{ rm -f -- \"$new\"; echo 'the new file could not be written: is the disk full?' >&2; return 1; }}\n",
        quote(text)?,
        text.len()
    ));
    if let Some(own) = &work.own {
        out.push_str(&format!(
            "{} || {{ rm -f -- \"$new\"; return 1; }}\n",
            chown(own, "\"$new\"")?
        ));
    }
    for check in &work.validate_new {
        out.push_str(&format!(
            "(\n{check}\n) >&2 || {{ rm -f -- \"$new\"; return 1; }}\n"
        ));
    }
    out.push_str("place \"$new\" \"$path\" || return 1\n");
    for check in &work.validate_placed {
        out.push_str(&format!("(\n{check}\n) >&2 || return 1\n"));
    }
    Ok(out)
}

/// The bits by which `stat` tells a file's kind; no file has those of [`FileKind::Other`].
fn kind_bits(kind: FileKind) -> u32 {
    match kind {
        FileKind::File => 0o100_000,
        FileKind::Directory => 0o040_000,
        FileKind::Link => 0o120_000,
        FileKind::Other => 0,
    }
}

/// True while the file is as it was seen, by the fingerprints taken at the start.
fn guard(work: &FileWork) -> Result<String, NulInText> {
    let path = quote(&work.path)?;
    let Some(before) = &work.before else {
        return Ok(format!("[ ! -e {path} ] && [ ! -L {path} ]"));
    };
    let stat = quote(&format!(
        "\n{:x} {} {} {}\n",
        kind_bits(before.kind) | before.mode,
        before.uid,
        before.gid,
        work.path
    ))?;
    let mut out = format!("case \"$stats\" in *{stat}*) ;; *) return 1 ;; esac");
    if let Seen::Yes(text) = &before.content
        && before.kind == FileKind::File
    {
        let line = quote(&format!("\n{}  {}\n", text_hash(text), work.path))?;
        out.push_str(&format!(
            "\ncase \"$hashes\" in *{line}*) ;; *) return 1 ;; esac"
        ));
    }
    Ok(out)
}
