//! An archive of ours from a store, decrypted here and unpacked on an instance: the key never
//! leaves the controller, and nothing on the instance bears its final name before the archive was
//! authenticated to its end.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pipe::pipe;
use super::{door, journal, kept, proofs, shell};
use crate::backup::restore::{self, Limits, Restored};
use crate::backup::store::{Blob, Store};
use crate::cloud::guard::Guard;
use crate::cloud::names::Kind;
use crate::cloud::provider::{CloudSetup, Inner, Work};
use crate::document::drill::{Lost, Restore, Step};
use crate::document::policy::{SourceDocument, StoreDocument};
use crate::drill::accept::{differs, too_fast};
use crate::drill::local::guard::{Guard as LostPlaces, absolute, url_host};
use crate::drill::pick::{self, Picked};
use crate::drill::provider::{PhaseDone, StepError};
use crate::journal::PointNote;
use crate::reach::Target;
use crate::shell::{clean, quote};

/// How long a small program on the instance may take.
const SHORT: Duration = Duration::from_secs(120);

pub(in crate::cloud) async fn locate(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let document = document(work)?.clone();
    let stores = Stores::of(work);
    let disaster = work.context.drill.disaster;
    let chosen = blocking(move || stores.choose(&document, disaster)).await?;
    let (picked, point) = chosen?;
    let doubts = picked.doubts.clone();
    // Whose claim nobody signed proves nothing.
    let signed = picked.sidecar().filter(|_| picked.is_signed());
    let canary = signed.and_then(|sidecar| sidecar.canary.clone());
    work.inner.know(&work.step().step, |step| {
        step.canary = canary;
        step.picked = Some(Arc::new(picked));
        step.manifest = None;
        step.placed = None;
    });
    Ok(PhaseDone {
        detail: Some(point.name.clone()),
        point: Some(point),
        doubts,
        ..PhaseDone::default()
    })
}

/// Makes the directory that it is unpacked in, and tries the step's proofs on it, empty.
pub(in crate::cloud) async fn provision(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let place = Place::of(work)?;
    let ledger = &work.context.drill.ledger;
    let token = ledger
        .intend(
            Some(&work.step().step),
            Kind::OnInstance.as_str(),
            &format!("{}:{}", place.instance, place.directory),
        )
        .map_err(journal)?;
    let doing = format!(
        "making a place for {} on {}",
        place.directory, place.target.name
    );
    place.run(work, PREPARE, &doing).await?;
    ledger.made(&token, &place.directory).map_err(journal)?;
    let remarks = proofs::try_without(work, &place.on, &place.staging).await?;
    Ok(PhaseDone {
        detail: (!remarks.detail.is_empty()).then(|| remarks.detail.join("; ")),
        doubts: remarks.doubts,
        ..PhaseDone::default()
    })
}

pub(in crate::cloud) async fn restore(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let place = Place::of(work)?;
    let picked = (work.inner.recovered(&work.step().step).picked)
        .ok_or_else(|| StepError::new("nothing was located for this step"))?;
    let begun = Instant::now();
    let restored = match unpack(work, &place, picked.clone()).await {
        Ok(restored) => restored,
        Err(error) => {
            // What is left goes with the instance, at the latest.
            let _ = place.run(work, DISCARD, "tidying up").await;
            return Err(error);
        }
    };
    let took = begun.elapsed();
    let source = source(work.inner, &document(work)?.source)?;
    differs(&picked, &restored, source).map_err(StepError::new)?;
    place
        .run(work, PUBLISH, &format!("naming {}", place.directory))
        .await?;
    Ok(accept(work, &place, restored, took)?)
}

/// What is kept of it, and what is told.
fn accept(
    work: &Work<'_>,
    place: &Place,
    restored: Restored,
    took: Duration,
) -> Result<PhaseDone, String> {
    let mut doubts = too_fast(restored.bytes, took);
    if restored.header.is_none() {
        doubts.push(
            "the archive is not one of ours: it says neither what it is nor of which time".into(),
        );
    }
    let warnings = (restored.manifest.as_ref()).map_or(0, |m| m.end().warnings.len());
    let (inner, step) = (work.inner, &work.step().step);
    inner.know(step, |own| {
        own.placed = Some((place.on.clone(), place.directory.clone()));
        own.manifest = restored.manifest.map(Arc::new);
    });
    kept::keep(inner, &work.context.drill.run, step, &inner.recovered(step))?;
    Ok(PhaseDone {
        bytes: restored.bytes,
        files: restored.files,
        detail: (warnings > 0).then(|| format!("the backup was made with {warnings} warnings")),
        point: None,
        doubts,
    })
}

/// Streams it to the instance. Well: it was authenticated to its end, and taken whole.
async fn unpack(
    work: &Work<'_>,
    place: &Place,
    picked: Arc<Picked>,
) -> Result<Restored, StepError> {
    let restore_document = document(work)?.clone();
    let stream = stream_name(work.inner, work.step());
    let program = match &stream {
        Some(name) => place.program(WRITE, &[("name", name)])?,
        None => place.program(EXTRACT, &[])?,
    };
    let mut session = shell::connect(work.inner, &place.target).await?;
    let (mut sink, mut source) = pipe();
    let stores = Stores::of(work);
    let progress = work.context.progress.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let restored = stores.open(&restore_document, &picked).and_then(|blob| {
            let limits = Limits {
                outward_links: true,
                sha256: picked.sidecar().map(|sidecar| sidecar.sha256.clone()),
                ..Limits::default()
            };
            let identities = &stores.setup.identities;
            let restored = match stream.is_some() {
                true => restore::stream(blob, identities, &mut sink, &limits, &progress),
                false => restore::relay(blob, identities, &mut sink, &limits, &progress),
            };
            restored.map_err(|e| StepError::new(clean(&e.0, 800)))
        });
        // The far end sees an end of the stream only where all was well.
        sink.close(restored.as_ref().err().map(|e| e.reason.clone()));
        restored
    });
    let limit = work.step().deadline.0;
    let mut nothing = |_: &[u8]| ControlFlow::Continue(());
    let fed = session
        .feed(&program, &mut source, limit, &mut nothing)
        .await;
    drop(source);
    session.close().await;
    let restored = reading
        .await
        .map_err(|e| StepError::new(format!("an error of Seawall's own: {e}")))?;
    match (fed, restored) {
        (Ok(ended), restored) => {
            let ran = shell::Ran {
                ended,
                ..shell::Ran::default()
            };
            // Where the far end gave up, our own error is that it takes no more.
            ran.text(&format!("unpacking on {}", place.target.name))?;
            restored
        }
        // Where reading failed, the feeding did because of that.
        (Err(_), Err(error)) if !error.reason.contains(super::pipe::GONE) => Err(error),
        (Err(error), _) => Err(StepError::new(format!("{}: {error}", place.target.name))),
    }
}

fn document<'a>(work: &Work<'a>) -> Result<&'a Restore, StepError> {
    let restore = work.context.step.restore.as_ref();
    restore.ok_or_else(|| StepError::new("this step restores no archive"))
}

fn source<'a>(inner: &'a Inner, name: &str) -> Result<&'a SourceDocument, StepError> {
    let mut sources = inner.setup.policy.sources.iter();
    sources
        .find(|s| s.source == name)
        .ok_or_else(|| StepError::new(format!("the policy has no source {name}")))
}

/// What the one file of a program's output is called; `None`: the source is directories.
pub(super) fn stream_name(inner: &Inner, step: &Step) -> Option<String> {
    let source = source(inner, &step.restore.as_ref()?.source).ok()?;
    let file = Path::new(&source.command.as_ref()?.file).file_name();
    Some(file.map_or("stream".into(), |name| name.to_string_lossy().into_owned()))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StepError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| StepError::new(format!("an error of Seawall's own: {e}")))
}

/// The policy's stores, for a thread that may block.
struct Stores {
    setup: CloudSetup,
    guard: Arc<Guard>,
    by: String,
}

impl Stores {
    fn of(work: &Work<'_>) -> Stores {
        Stores {
            setup: work.inner.setup.clone(),
            guard: work.inner.guard.clone(),
            by: format!("step {}", work.step().step),
        }
    }

    /// Opens the step's store: the one that it names, else the first that is not lost.
    fn store(&self, restore: &Restore) -> Result<(String, String, Arc<dyn Store>), StepError> {
        let policy = &self.setup.policy;
        let names = match &restore.store {
            Some(store) => vec![store.clone()],
            None => {
                let source = policy.sources.iter().find(|s| s.source == restore.source);
                let to = source.map(|s| s.to.clone()).unwrap_or_default();
                match to.is_empty() {
                    true => policy.stores.keys().cloned().collect(),
                    false => to,
                }
            }
        };
        let (drill_base, policy_base) = (
            directory_of(&self.setup.drill_path),
            directory_of(&self.setup.policy_path),
        );
        let mut lost = Vec::new();
        for name in names {
            let document = (policy.stores.get(&name))
                .ok_or_else(|| StepError::new(format!("the policy has no store {name}")))?;
            let is_lost = is_lost(&self.setup.drill.lost, document, &drill_base, &policy_base);
            if let Some(why) = is_lost {
                if restore.store.is_some() {
                    self.guard.note_refused(&name, &self.by);
                    return Err(StepError {
                        reason: format!("the store {name} is not to be touched: {why}"),
                        refused: Some(name),
                    });
                }
                lost.push(format!("{name}: {why}"));
                continue;
            }
            let store = crate::backup::store::open(document, &policy_base)
                .map_err(|e| StepError::new(clean(&e.to_string(), 500)))?;
            self.guard.note_used(&store.endpoint(), &self.by);
            return Ok((name, document.place.clone(), store));
        }
        Err(StepError::new(format!(
            "every store of {} is lost ({})",
            restore.source,
            lost.join("; ")
        )))
    }

    /// Which backup the step takes. Asks the store, and changes nothing.
    fn choose(
        &self,
        restore: &Restore,
        disaster: jiff::Timestamp,
    ) -> Result<(Picked, PointNote), StepError> {
        let (name, place, store) = self.store(restore)?;
        let backups =
            crate::backup::catalog::backups(store.as_ref(), &restore.source, &self.setup.trusted)
                .map_err(|e| StepError::new(clean(&e.to_string(), 500)))?;
        let random = |count| (self.setup.random)(count);
        let picked = pick::pick(&backups, &restore.pick, disaster, &random)
            .map_err(|why| format!("{why} (source {}, store {name})", restore.source))?;
        pick::belongs(&picked, &restore.source)?;
        let point = pick::note(&picked, &restore.source, name, place);
        Ok((picked, point))
    }

    fn open(&self, restore: &Restore, picked: &Picked) -> Result<Box<dyn Blob>, StepError> {
        let (_, _, store) = self.store(restore)?;
        store
            .open(&picked.backup.name)
            .map_err(|e| StepError::new(clean(&e.to_string(), 500)))
    }
}

fn directory_of(path: &Path) -> PathBuf {
    let path = absolute(path);
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

/// Why a store is lost, if it is: by its place, its directory, its host, or its region.
pub(super) fn is_lost(
    lost: &Lost,
    store: &StoreDocument,
    drill_base: &Path,
    policy_base: &Path,
) -> Option<String> {
    if let Some(why) = LostPlaces::new(lost, drill_base).lost_store(store, policy_base) {
        return Some(why);
    }
    let s3 = store.s3.as_ref()?;
    let endpoint = s3
        .endpoint
        .as_deref()
        .and_then(url_host)
        .unwrap_or_default();
    let endpoint = endpoint.to_ascii_lowercase();
    lost.regions.iter().find_map(|region| {
        let region = region.to_ascii_lowercase();
        let named = endpoint.split(['.', '-']).collect::<Vec<_>>().join("-");
        let in_host = endpoint.ends_with("amazonaws.com") && named.contains(&region);
        (s3.region.eq_ignore_ascii_case(&region) || in_host)
            .then(|| format!("its region, {region}, is lost"))
    })
}

/// Where an archive goes on an instance.
struct Place {
    on: String,
    instance: String,
    target: Target,
    directory: String,
    /// Beside it, under which it is unpacked.
    staging: String,
    /// Beside it: says that what bears the final name is of this run and step.
    mark: String,
}

impl Place {
    fn of(work: &Work<'_>) -> Result<Place, StepError> {
        let restore = document(work)?;
        let (Some(on), Some(directory)) = (&restore.onto, &restore.directory) else {
            return Err(StepError::new(
                "an archive in AWS goes `onto` a step's instance, into a `directory` there",
            ));
        };
        super::is_place(directory)?;
        let inner = work.inner;
        let instance = (inner.recovered(on).instance)
            .ok_or_else(|| StepError::new(format!("the step {on} has no instance")))?;
        let run = &work.context.drill.run;
        let (parent, _) = directory.rsplit_once('/').unwrap_or_default();
        let mark = format!("{parent}/.seawall-{run}-{}", work.step().step);
        Ok(Place {
            target: door::target(inner, run, on, &instance)?,
            instance: instance.id,
            on: on.clone(),
            directory: directory.clone(),
            staging: format!("{mark}-{}", work.context.attempt),
            mark,
        })
    }

    /// A program of ours with this place's names before it.
    fn program(&self, text: &str, more: &[(&str, &str)]) -> Result<String, String> {
        let parent = self
            .directory
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        let names = [
            ("parent", if parent.is_empty() { "/" } else { parent }),
            ("staging", &self.staging),
            ("final", &self.directory),
            ("mark", &self.mark),
        ];
        let mut program = String::from(
            "set -u\nLC_ALL=C; export LC_ALL\n\
             PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH\n",
        );
        for (name, value) in names.iter().chain(more) {
            let value = quote(value).map_err(|e| e.to_string())?;
            program.push_str(&format!("{name}={value}\n"));
        }
        program.push_str(text);
        Ok(program)
    }

    async fn run(&self, work: &Work<'_>, text: &str, doing: &str) -> Result<(), StepError> {
        let calls = self.program(text, &[])?;
        let ran = shell::run(work.inner, &self.target, "", &calls, SHORT, 4096).await?;
        ran.text(doing)?;
        Ok(())
    }
}

/// What bears the final name may be of an attempt of this run that died after it was named.
const PREPARE: &str = r#"umask 022
mkdir -p -- "$parent" || exit 1
if [ -e "$final" ] || [ -L "$final" ]; then
  [ -d "$mark" ] || { echo "$final is there already: nothing is restored over it" >&2; exit 1; }
  rm -rf --one-file-system -- "$final" || exit 1
fi
umask 077
mkdir -- "$staging"
exit $?
"#;

/// As the archive has them where we are root: owners by number, modes whole.
const EXTRACT: &str = r#"umask 022
cd -- "$staging" || exit 96
own=-o
[ "$(id -u)" != 0 ] || own=
exec tar -x -p $own --numeric-owner -f -
"#;

const WRITE: &str = r#"umask 077
cd -- "$staging" || exit 96
cat >"$name" || exit 1
sync "$name" 2>/dev/null || sync
"#;

/// The mark comes first: after it, what bears the name is ours.
const PUBLISH: &str = r#"sync
if [ -e "$final" ] || [ -L "$final" ]; then
  echo "$final has come to be there meanwhile: nothing is put in its place" >&2
  exit 1
fi
mkdir -p -- "$mark" && chmod 755 -- "$staging" && mv -- "$staging" "$final"
exit $?
"#;

const DISCARD: &str = r#"rm -rf --one-file-system -- "$staging"
exit $?
"#;
