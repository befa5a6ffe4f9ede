//! Mounting restored volumes and file systems on an instance, read-only, after the step's proofs
//! were tried there without them.

use std::net::IpAddr;
use std::time::Duration;

use super::{Remarks, door, proofs, shell};
use crate::cloud::fault::Fault;
use crate::cloud::poll::{Asked, Pace, Schedule, until};
use crate::cloud::provider::Work;
use crate::drill::provider::StepError;
use crate::reach::Target;
use crate::shell::{NulInText, clean, quote};

/// How long an attached volume may take until the instance has a device for it.
const APPEARS: Duration = Duration::from_secs(180);
/// How long a mount may take: a journal is not replayed, but a cold volume is slow.
const MOUNT: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(60);
/// The program ends so where there is no such device yet.
const NOT_YET: u32 = 75;

/// As AWS recommends for EFS, and read-only.
const NFS: &str =
    "nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport,ro,nosuid,nodev";

pub struct Volume<'a> {
    pub id: &'a str,
    pub device: &'a str,
    pub partition: Option<u32>,
}

pub async fn volume(
    work: &Work<'_>,
    on: &str,
    volume: Volume<'_>,
    path: &str,
) -> Result<Remarks, StepError> {
    let target = empty_place(work, on, path).await?;
    let mut remarks = proofs::try_without(work, on, path).await?;
    let find = find(&volume, "/").map_err(nul)?;
    let what = format!("waiting for the device of {} on {}", volume.id, target.name);
    let pace = Pace(work.inner.setup.access.pace);
    let device = until(pace, Schedule::QUICK, APPEARS, &what, false, || async {
        let ran = shell::run(
            work.inner,
            &target,
            &find,
            "find_device; exit $?",
            SHORT,
            4096,
        )
        .await;
        match ran.map_err(|why| Fault::ours(&what, &why))? {
            ran if ran.ended.status == Some(NOT_YET) => Ok(Asked::Wait(None)),
            ran => (ran.text(&what))
                .map(|text| Asked::Ready(text.trim().to_owned()))
                .map_err(|why| Fault::ours(&what, &why)),
        }
    })
    .await?;
    let functions = mount_device(&device, path).map_err(nul)?;
    let how = mounted(
        work,
        &target,
        &functions,
        &format!("mounting {}", volume.id),
    )
    .await?;
    remarks.detail.push(format!(
        "{} ({}) is mounted on {path}, {how}",
        volume.id,
        clean(&device, 80)
    ));
    place(work, on, path);
    Ok(remarks)
}

pub async fn file_system(
    work: &Work<'_>,
    on: &str,
    address: IpAddr,
    path: &str,
) -> Result<Remarks, StepError> {
    let target = empty_place(work, on, path).await?;
    let mut remarks = proofs::try_without(work, on, path).await?;
    let functions = mount_nfs(address, path).map_err(nul)?;
    let how = mounted(work, &target, &functions, &format!("mounting {address}")).await?;
    remarks
        .detail
        .push(format!("{address}:/ is mounted on {path}, {how}"));
    place(work, on, path);
    Ok(remarks)
}

fn nul(error: NulInText) -> StepError {
    StepError::new(error.to_string())
}

fn place(work: &Work<'_>, on: &str, path: &str) {
    let placed = (on.to_owned(), path.to_owned());
    (work.inner).know(&work.step().step, |step| step.placed = Some(placed));
}

/// Makes the directory that is mounted on, and sees that it is empty: what lies there already would
/// be taken for restored.
async fn empty_place(work: &Work<'_>, on: &str, path: &str) -> Result<Target, StepError> {
    super::is_place(path)?;
    let instance = (work.inner.recovered(on).instance)
        .ok_or_else(|| StepError::new(format!("the step {on} has no instance")))?;
    let target = door::target(work.inner, &work.context.drill.run, on, &instance)?;
    let token = (work.context.drill.ledger)
        .intend(
            Some(&work.step().step),
            crate::cloud::names::Kind::OnInstance.as_str(),
            &format!("{}:{path}", instance.id),
        )
        .map_err(super::journal)?;
    let functions = empty(path).map_err(nul)?;
    let ran = shell::run(
        work.inner,
        &target,
        &functions,
        "empty; exit $?",
        SHORT,
        4096,
    )
    .await?;
    ran.text(&format!("making {path} on {}", target.name))?;
    (work.context.drill.ledger)
        .made(&token, path)
        .map_err(super::journal)?;
    Ok(target)
}

async fn mounted(
    work: &Work<'_>,
    target: &Target,
    functions: &str,
    what: &str,
) -> Result<String, StepError> {
    let ran = shell::run(
        work.inner,
        target,
        functions,
        "attach; exit $?",
        MOUNT,
        4096,
    )
    .await?;
    let said = ran.text(&format!("{what} on {}", target.name))?;
    Ok(clean(&said, 200))
}

fn empty(path: &str) -> Result<String, NulInText> {
    let path = quote(path)?;
    Ok(format!(
        r#"empty() {{
  umask 022
  mkdir -p -- {path} || return 1
  [ -z "$(ls -A -- {path} | head -n 1)" ] ||
    {{ echo {path} 'is not empty: nothing is mounted over what is there' >&2; return 1; }}
}}"#
    ))
}

/// Says the device of a volume: by the link that bears its id (NVMe), else the device that it was
/// attached as, else what that is called on Xen. `root` is `/` but in tests.
fn find(volume: &Volume<'_>, root: &str) -> Result<String, NulInText> {
    let dev = format!("{}/dev", root.trim_end_matches('/'));
    let id = volume.id.replace('-', "");
    let link = quote(&format!(
        "{dev}/disk/by-id/nvme-Amazon_Elastic_Block_Store_{id}"
    ))?;
    let name = volume.device.strip_prefix("/dev/").unwrap_or(volume.device);
    let given = quote(&format!("{dev}/{name}"))?;
    let letter: String = name.chars().last().into_iter().collect();
    let xen = quote(&format!("{dev}/xvd{letter}"))?;
    let partition = volume.partition.map(|n| n.to_string()).unwrap_or_default();
    Ok(format!(
        r#"find_device() {{
  for d in {link} {given} {xen}; do
    [ -e "$d" ] || continue
    d=$(readlink -f -- "$d") || continue
    p={partition}
    if [ -n "$p" ]; then
      case "$d" in *[0-9]) d=${{d}}p$p ;; *) d=$d$p ;; esac
      [ -e "$d" ] || continue
    fi
    printf '%s\n' "$d"
    return 0
  done
  return {NOT_YET}
}}"#
    ))
}

/// Read-only in truth: without the replay of a journal, which would write to the volume.
fn mount_device(device: &str, path: &str) -> Result<String, NulInText> {
    let (device, path) = (quote(device)?, quote(path)?);
    Ok(format!(
        r#"attach() {{
  t=$(blkid -o value -s TYPE -- {device} 2>/dev/null) || t=$(lsblk -dno FSTYPE {device} 2>/dev/null)
  case "$t" in
    ext3|ext4) o=ro,noload ;;
    xfs) o=ro,norecovery,nouuid ;;
    btrfs) o=ro,nologreplay ;;
    '') echo 'no file system was found on it: name the partition' >&2; return 1 ;;
    *) o=ro ;;
  esac
  mount -t "$t" -o "$o,nosuid,nodev" {device} {path} || return 1
  printf '%s, %s\n' "$t" "$o"
}}"#
    ))
}

fn mount_nfs(address: IpAddr, path: &str) -> Result<String, NulInText> {
    let from = match address {
        IpAddr::V4(address) => format!("{address}:/"),
        IpAddr::V6(address) => format!("[{address}]:/"),
    };
    let (from, path) = (quote(&from)?, quote(path)?);
    Ok(format!(
        r#"attach() {{
  have mount.nfs4 ||
    {{ echo 'it has no mount.nfs4: the image needs nfs-common or nfs-utils' >&2; return 1; }}
  mount -t nfs4 -o {NFS} {from} {path} || return 1
  echo 'NFS 4.1, read-only'
}}"#
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;
    use crate::shell::{Nonce, assemble};

    fn sh(functions: &str, calls: &str) -> (Option<i32>, String) {
        let text = assemble(&Nonce::draw(), functions, calls);
        let output = std::process::Command::new("sh")
            .arg("-c")
            .arg(text)
            .output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    }

    fn found(root: &Path, device: &str, partition: Option<u32>) -> (Option<i32>, String) {
        let volume = Volume {
            id: "vol-0a1b",
            device,
            partition,
        };
        let functions = find(&volume, root.to_str().unwrap()).unwrap();
        sh(&functions, "find_device; exit $?")
    }

    #[test]
    fn a_volume_is_found_by_its_id_then_by_its_device_then_by_xens_name() {
        let dir = tempfile::tempdir().unwrap();
        let dev = dir.path().canonicalize().unwrap().join("dev");
        let is = |name: &str| (Some(0), dev.join(name).display().to_string());
        std::fs::create_dir_all(dev.join("disk/by-id")).unwrap();
        assert_eq!(found(dir.path(), "/dev/sdf", None).0, Some(75));
        std::fs::write(dev.join("xvdf"), "").unwrap();
        assert_eq!(found(dir.path(), "/dev/sdf", None), is("xvdf"));
        std::fs::write(dev.join("sdf"), "").unwrap();
        assert_eq!(found(dir.path(), "/dev/sdf", None), is("sdf"));
        // Its partition is not there yet; on Xen's name it is.
        assert_eq!(found(dir.path(), "/dev/sdf", Some(1)).0, Some(75));
        std::fs::write(dev.join("sdf1"), "").unwrap();
        assert_eq!(found(dir.path(), "/dev/sdf", Some(1)), is("sdf1"));
        std::fs::write(dev.join("nvme1n1"), "").unwrap();
        std::fs::write(dev.join("nvme1n1p1"), "").unwrap();
        let link = dev.join("disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0a1b");
        symlink("../../nvme1n1", link).unwrap();
        assert_eq!(found(dir.path(), "/dev/sdf", None), is("nvme1n1"));
        assert_eq!(found(dir.path(), "/dev/sdf", Some(1)), is("nvme1n1p1"));
    }

    #[test]
    fn nothing_is_mounted_over_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("it's/new");
        let functions = empty(place.to_str().unwrap()).unwrap();
        assert_eq!(sh(&functions, "empty; exit $?").0, Some(0));
        assert!(place.is_dir());
        std::fs::write(place.join(".hidden"), "").unwrap();
        assert_eq!(sh(&functions, "empty; exit $?").0, Some(1));
    }

    #[test]
    fn mounts_never_write_and_names_are_quoted() {
        let text = mount_device("/dev/x; reboot", "/mnt/a b").unwrap();
        assert!(text.contains("'/dev/x; reboot' '/mnt/a b'"), "{text}");
        for options in ["ro,noload", "ro,norecovery,nouuid", "ro,nologreplay"] {
            assert!(text.contains(options), "{options}");
        }
        let text = mount_nfs("10.0.0.9".parse().unwrap(), "/mnt").unwrap();
        assert!(text.contains("nfsvers=4.1") && text.contains(",ro,"));
        assert!(text.contains("'10.0.0.9:/' '/mnt'"), "{text}");
        let text = mount_nfs("fd00::9".parse().unwrap(), "/mnt").unwrap();
        assert!(text.contains("'[fd00::9]:/'"), "{text}");
    }
}
