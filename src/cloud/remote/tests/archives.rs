//! An archive on its way to an instance: all the way, and every way in which it does not arrive.

use super::*;
use crate::reach::FakeReach;

const KEY: &str = "host_key: unused";

fn local() -> Arc<dyn Reach> {
    Arc::new(FakeReach::local_sh(Vec::new()))
}

/// Through all its phases.
async fn restored(stage: &Stage, attempt: u32) -> Result<(), String> {
    let context = stage.context("files", attempt);
    std::fs::write(stage.dir.path().join("key"), "").unwrap();
    let work = stage.work(&context);
    archive::locate(&work).await.map_err(|e| e.reason)?;
    archive::provision(&work).await.map_err(|e| e.reason)?;
    let done = archive::restore(&work).await.map_err(|e| e.reason)?;
    assert_eq!((done.files, done.bytes), (3, data_bytes()));
    assert_eq!(done.doubts, [""; 0]);
    Ok(())
}

fn stage(proofs: &str) -> Stage {
    Stage::new(
        local(),
        &format!("identity: key, {KEY}"),
        "regions: [eu-west-1]",
        proofs,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn it_arrives_whole_under_its_name_and_is_proved() {
    let hash = crate::model::sha256_hex(&vec![b'l'; LARGE]);
    let stage = stage(&format!(
        "{{proof: m, manifest: true}}, {{proof: c, canary: true}}, \
         {{proof: f, files: {{at_least: 3, bytes: 3M, sha256: {{data/large: {hash}}}}}}}, \
         {{proof: r, command: {{run: [cat, '{{{{ steps.files.directory }}}}/data/.canary'], contains: {TOKEN}}}}}, \
         {{proof: vacuous, command: {{run: [uname], contains: Linux}}}}"
    ));
    let context = stage.context("files", 1);
    std::fs::write(stage.dir.path().join("key"), "").unwrap();
    let work = stage.work(&context);
    let located = archive::locate(&work).await.unwrap();
    let point = located.point.unwrap();
    assert_eq!((point.store.as_str(), point.signed), ("attic", true));
    assert_eq!(point.data_time.as_deref(), Some(DATA_TIME));
    let provisioned = archive::provision(&work).await.unwrap();
    // Of five proofs, one passes where nothing is.
    assert_eq!(
        provisioned.doubts,
        ["the proof `vacuous` passes without the data"]
    );
    let controls: Vec<(String, bool)> = (stage.events().into_iter())
        .filter_map(|event| match event {
            DrillEvent::Control {
                proof, can_fail, ..
            } => Some((proof, can_fail)),
            _ => None,
        })
        .collect();
    let can_fail = |name: &str| controls.contains(&(name.to_owned(), true));
    assert!(can_fail("m") && can_fail("c") && can_fail("f") && can_fail("r"));
    assert!(controls.contains(&("vacuous".to_owned(), false)));
    assert!(!stage.goal().exists());
    archive::restore(&work).await.unwrap();
    for proof in 0..4 {
        let said = stage.proved(proof).await;
        assert_eq!(said.outcome, ProofOutcome::Pass, "{said:?}");
    }
    let hello = stage.goal().join("data/hello\nworld");
    assert_eq!(std::fs::read(hello).unwrap(), b"hello\n");
    assert_eq!(stage.beside().len(), 2, "{:?}", stage.beside());
    let watched = stage.inner.guard.watched();
    assert!(watched.used[0].0.ends_with("/store"), "{watched:?}");
    // Another process of the run takes it over, while it is there.
    stage.inner.know("files", |own| {
        *own = crate::cloud::state::Recovered::default()
    });
    adopt(&stage.inner, &stage.drill, stage.step("files"))
        .await
        .unwrap();
    let said = stage.proved(0).await;
    assert_eq!(said.outcome, ProofOutcome::Pass, "{said:?}");
    std::fs::remove_dir_all(stage.goal()).unwrap();
    assert!(
        adopt(&stage.inner, &stage.drill, stage.step("files"))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_on_the_instance_is_seen() {
    let stage = stage("{proof: m, manifest: true}, {proof: c, canary: true}");
    restored(&stage, 1).await.unwrap();
    let large = stage.goal().join("data/large");
    let mut bytes = vec![b'l'; LARGE];
    bytes[7] = b'x';
    std::fs::write(&large, &bytes).unwrap();
    let said = stage.proved(0).await;
    assert_eq!(said.outcome, ProofOutcome::Fail);
    assert!(
        said.read.contains("data/large: its content"),
        "{}",
        said.read
    );
    std::fs::write(&large, vec![b'l'; LARGE]).unwrap();
    assert_eq!(stage.proved(0).await.outcome, ProofOutcome::Pass);
    std::fs::write(stage.goal().join("data/more"), "").unwrap();
    assert!(stage.proved(0).await.read.contains("7 things instead of 6"));
    std::fs::remove_file(stage.goal().join("data/.canary")).unwrap();
    assert!(stage.proved(0).await.read.contains(".canary: is missing"));
    assert_eq!(stage.proved(1).await.outcome, ProofOutcome::Fail);
    // A link may not lead a proof to what was not restored.
    let aside = stage.dir.path().join("aside");
    std::fs::write(&aside, canary_file()).unwrap();
    std::os::unix::fs::symlink(&aside, stage.goal().join("data/.canary")).unwrap();
    assert_eq!(stage.proved(1).await.outcome, ProofOutcome::Fail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programs_output_becomes_one_file() {
    let bytes = b"line\n".repeat(1_000_000);
    let stage = Stage::of(
        output(&bytes),
        "http://127.0.0.1:9",
        local(),
        &format!("identity: key, {KEY}"),
        "regions: [eu-west-1]",
        "{proof: m, manifest: true}",
    );
    let context = stage.context("files", 1);
    let work = stage.work(&context);
    archive::locate(&work).await.unwrap();
    archive::provision(&work).await.unwrap();
    archive::restore(&work).await.unwrap();
    let file = stage.goal().join("dump.txt");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    let said = stage.proved(0).await;
    assert_eq!(said.outcome, ProofOutcome::Pass, "{said:?}");
    std::fs::write(&file, &bytes[1..]).unwrap();
    let said = stage.proved(0).await;
    assert_eq!(said.outcome, ProofOutcome::Fail, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_archive_never_bears_the_name() {
    let stage = stage("");
    let file = stage.dir.path().join("store").join(ARCHIVE);
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let error = restored(&stage, 1).await.unwrap_err();
    assert!(error.contains("reading the backup"), "{error}");
    assert_eq!(stage.beside(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_left_alone_unless_this_run_made_it() {
    let stage = stage("");
    std::fs::create_dir_all(stage.goal()).unwrap();
    let error = restored(&stage, 1).await.unwrap_err();
    assert!(error.contains("is there already"), "{error}");
    std::fs::remove_dir(stage.goal()).unwrap();
    restored(&stage, 1).await.unwrap();
    // As if the process had died before it said so.
    restored(&stage, 2).await.unwrap();
    assert!(stage.goal().join("data/large").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_by_the_tar_that_met_it() {
    let stage = stage("");
    let context = stage.context("files", 1);
    std::fs::write(stage.dir.path().join("key"), "").unwrap();
    let work = stage.work(&context);
    archive::locate(&work).await.unwrap();
    archive::provision(&work).await.unwrap();
    // Nothing can be unpacked where the directory is none any more.
    let staging = stage
        .dir
        .path()
        .join("instance/srv")
        .join(&stage.beside()[0]);
    std::fs::remove_dir(&staging).unwrap();
    let error = archive::restore(&work).await.unwrap_err();
    assert!(error.reason.contains("exit status 96"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_the_lost_region_or_place_is_refused() {
    for (lost, why) in [
        ("places: [attic]", "its place"),
        ("paths: [store]", "lies in"),
    ] {
        let stage = Stage::new(local(), KEY, lost, "");
        let error = restored(&stage, 1).await.unwrap_err();
        assert!(
            error.contains("every store") && error.contains(why),
            "{error}"
        );
        assert!(stage.inner.guard.watched().used.is_empty());
    }
    let lost: crate::document::drill::Lost =
        serde_yaml::from_str("{what: x, regions: [eu-west-1]}").unwrap();
    let is_lost = |region: &str, endpoint: &str| {
        let endpoint = match endpoint {
            "" => String::new(),
            endpoint => format!(", endpoint: 'https://{endpoint}'"),
        };
        let text = format!("{{place: p, s3: {{bucket: b, region: {region}{endpoint}}}}}");
        let store = serde_yaml::from_str(&text).unwrap();
        archive::is_lost(&lost, &store, Path::new("/"), Path::new("/")).is_some()
    };
    assert!(is_lost("eu-west-1", ""));
    assert!(is_lost("us-east-1", "s3.eu-west-1.amazonaws.com"));
    assert!(!is_lost("eu-central-1", ""));
    assert!(!is_lost("eu-west-2", "s3.eu-west-2.amazonaws.com"));
}
