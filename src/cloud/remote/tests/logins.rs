//! The first log-in, on a real sshd, with host keys from a document or from a console.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::reach::{ConfigSource, SshOptions, SshReach};

struct Sshd {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keygen(path: &Path) -> String {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "t", "-f"])
        .arg(path)
        .status();
    assert!(status.unwrap().success());
    std::fs::read_to_string(path.with_extension("pub"))
        .unwrap()
        .trim()
        .to_owned()
}

impl Sshd {
    /// Its host's public key is in `host.pub`; `client` opens it.
    fn start() -> Sshd {
        if crate::backup::archive::beneath::us().0 == 0 {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display();
        keygen(&folder.path().join("host"));
        let client = keygen(&folder.path().join("client"));
        std::fs::write(folder.path().join("authorized"), client).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {dir}/host\n\
             AuthorizedKeysFile {dir}/authorized\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nPidFile none\n"
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.path().join("config"))
            .stderr(Stdio::null())
            .spawn()
            .expect("openssh-server is installed");
        Sshd {
            folder,
            port,
            child,
        }
    }

    fn host_key(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("host.pub"))
            .unwrap()
            .trim()
            .to_owned()
    }

    fn stage(&self, endpoint: &str, host_key: Option<&str>) -> Stage {
        let reach = SshReach::new(SshOptions {
            config: ConfigSource::None,
            agent: Some("/nonexistent".into()),
            ..SshOptions::default()
        });
        let host_key = host_key
            .map(|key| format!(", host_key: '{key}'"))
            .unwrap_or_default();
        let ssh = format!(
            "port: {}, sudo: false, identity: '{}/client'{host_key}",
            self.port,
            self.folder.path().display()
        );
        Stage::at(endpoint, Arc::new(reach), &ssh, "regions: [eu-west-1]", "")
    }
}

async fn entered(stage: &Stage) -> Result<Remarks, String> {
    let context = stage.context("app", 1);
    let work = stage.work(&context);
    log_in(&work, "app", &instance())
        .await
        .map_err(|e| e.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_key_of_the_document_counts_and_no_other() {
    if crate::backup::archive::beneath::us().0 != 0 {
        return;
    }
    let sshd = Sshd::start();
    let stage = sshd.stage("http://127.0.0.1:9", Some(&sshd.host_key()));
    let remarks = entered(&stage).await.unwrap();
    assert!(
        remarks.detail[0].contains("as the drill's document says"),
        "{remarks:?}"
    );
    let known = stage
        .dir
        .path()
        .join("state/drills/20261120-120000-aaaa/app.known_hosts");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&known).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let other = keygen(&sshd.folder.path().join("other"));
    let begun = std::time::Instant::now();
    let error = entered(&sshd.stage("http://127.0.0.1:9", Some(&other)))
        .await
        .unwrap_err();
    assert!(error.contains("checking the host key"), "{error}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
}

/// Answers each request with the next of these consoles, the last one again and again.
async fn console(texts: Vec<String>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 16 << 10];
            let _ = stream.read(&mut request).await;
            let text = &texts[number.min(texts.len() - 1)];
            number += 1;
            let output = base64::engine::general_purpose::STANDARD.encode(text);
            let body = format!(
                "<GetConsoleOutputResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
                 <instanceId>i-0123456789abcdef0</instanceId><output>{output}</output>\
                 </GetConsoleOutputResponse>"
            );
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_key_is_awaited_on_the_console() {
    if crate::backup::archive::beneath::us().0 != 0 {
        return;
    }
    let sshd = Sshd::start();
    let block = format!(
        "[ 5.0] booting\r\n-----BEGIN SSH HOST KEY KEYS-----\r\n{}\r\n-----END SSH HOST KEY KEYS-----\r\n",
        sshd.host_key()
    );
    let endpoint = console(vec![String::new(), "[ 1.0] booting\r\n".into(), block]).await;
    let remarks = entered(&sshd.stage(&endpoint, None)).await.unwrap();
    assert!(
        remarks.detail[0].contains("from its console"),
        "{remarks:?}"
    );
    let silent = console(vec!["nothing of use".into()]).await;
    let error = entered(&sshd.stage(&silent, None)).await.unwrap_err();
    assert!(error.contains("`ssh: {host_key: …}`"), "{error}");
}
