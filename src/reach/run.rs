//! One program on one channel.
//!
//! The channel is read without a pause, because the library stops the whole connection while one
//! channel's queue is full; and it is closed on every path, because sshd counts those that are not.

use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::client::{Client, Seen, describe};
use super::ssh::within;
use super::start::{Gate, PIECE, Start, keep};
use super::{Become, Ended, Input, OnOutput, Phase, ReachError, SshOptions};
use crate::shell::clean;

pub(super) struct Exec<'a> {
    pub(super) handle: &'a Handle<Client>,
    pub(super) seen: &'a Seen,
    pub(super) options: &'a SshOptions,
    /// The host's name, for people.
    pub(super) name: &'a str,
    pub(super) become_root: Become,
    /// Nothing was run on this connection before.
    pub(super) first: bool,
}

/// How long to wait before a channel is asked for again.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(750),
];

/// Closes its channel when it is dropped, however that comes about.
struct Closer(Option<ChannelWriteHalf<Msg>>);

impl Drop for Closer {
    fn drop(&mut self) {
        let (Some(half), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            let _ = tokio::time::timeout(Duration::from_secs(5), half.close()).await;
        });
    }
}

/// How far a run has come.
struct Progress {
    gate: Gate,
    ended: Ended,
    /// The server took the command.
    accepted: bool,
    /// The output was no longer wanted.
    stopped: bool,
    /// The server closed the channel.
    closed: bool,
    /// When there is no point in waiting for more.
    linger: Option<Instant>,
}

impl Exec<'_> {
    pub(super) async fn run(
        self,
        program: &str,
        input: Option<Input<'_>>,
        limit: Duration,
        on_output: OnOutput<'_>,
    ) -> Result<Ended, ReachError> {
        let begin = Instant::now();
        let start = match input {
            Some(_) => Start::fed(self.become_root, program)?,
            None => Start::new(self.become_root),
        };
        let password = self.password().await?;
        // Time in which a person was asked does not count.
        let end = begin + limit + begin.elapsed();
        let channel = self.open(limit).await?;
        let (mut read, write) = channel.split();
        let mut closer = Closer(Some(write));
        let mut progress = Progress {
            gate: start.gate(),
            ended: Ended::default(),
            accepted: false,
            stopped: false,
            closed: false,
            linger: None,
        };
        let job = Job {
            start: &start,
            password: password.as_ref(),
            program,
            begin: Instant::now(),
            end,
        };
        if let Some(write) = &closer.0 {
            self.exchange(&job, input, &mut read, write, &mut progress, on_output)
                .await?;
        }
        if progress.closed {
            closer.0 = None;
        }
        self.conclude(&start, progress)
    }

    /// Opens a channel. sshd counts the one of the program before until it has tidied up after it,
    /// so one that is refused then is asked for again.
    async fn open(&self, limit: Duration) -> Result<Channel<Msg>, ReachError> {
        let limit = self.options.timeouts.channel_open.min(limit);
        let mut pauses = if self.first { &[][..] } else { &PAUSES[..] }.iter();
        loop {
            let opening = self.handle.channel_open_session();
            let what = "the server did not open a channel";
            let error = match within(limit, Phase::Start, what, opening).await? {
                Ok(channel) => return Ok(channel),
                Err(error) => error,
            };
            if !matches!(error, russh::Error::ChannelOpenFailure(_)) {
                return Err(self.lost(Phase::Start));
            }
            let Some(pause) = pauses.next() else {
                return Err(ReachError::new(
                    Phase::Start,
                    format!("the server does not open a channel: {}", describe(&error)),
                )
                .hint("sshd's MaxSessions may be reached, or the account may not run commands"));
            };
            tokio::time::sleep(*pause).await;
        }
    }

    async fn password(&self) -> Result<Option<SecretString>, ReachError> {
        if self.become_root != Become::SudoWithPassword {
            return Ok(None);
        }
        let missing = || {
            ReachError::new(Phase::Sudo, "there is no password for sudo")
                .hint("run it on a terminal, which asks for it, or allow the account NOPASSWD")
        };
        let ask = self.options.ask.clone().ok_or_else(missing)?;
        let name = self.name.to_owned();
        let answer = tokio::task::spawn_blocking(move || ask.sudo_password(&name)).await;
        let password = answer.ok().flatten().ok_or_else(missing)?;
        check_password(&password)?;
        Ok(Some(password))
    }

    /// Sends and receives until the program has ended, side by side: a program that is larger
    /// than the window would otherwise wait for output that nobody reads.
    async fn exchange(
        &self,
        job: &Job<'_>,
        input: Option<Input<'_>>,
        read: &mut ChannelReadHalf,
        write: &ChannelWriteHalf<Msg>,
        progress: &mut Progress,
        on_output: OnOutput<'_>,
    ) -> Result<(), ReachError> {
        let start = job.start;
        let ready = Notify::new();
        let feed = async {
            write.exec(true, start.command()).await?;
            let opening = start.opening(job.password);
            write.data_bytes(opening).await?;
            if start.waits() {
                ready.notified().await;
            }
            write.data_bytes(start.program(job.program)).await?;
            if let Some(input) = input {
                let mut piece = vec![0; PIECE];
                loop {
                    // Without an end mark, so that what was cut short is not taken for whole.
                    let count = input.read(&mut piece).await.map_err(FeedError::Input)?;
                    if count == 0 {
                        break;
                    }
                    let piece = piece.get(..count).unwrap_or_default().to_vec();
                    write.data_bytes(piece).await?;
                }
            }
            write.eof().await?;
            Ok::<(), FeedError>(())
        };
        tokio::pin!(feed);
        let mut fed = false;
        loop {
            let (deadline, late) = self.deadline(job, progress);
            tokio::select! {
                // A channel that was closed meanwhile says so itself.
                result = &mut feed, if !fed => match result {
                    Err(FeedError::Input(error)) => return Err(unreadable(&error)),
                    Ok(()) | Err(FeedError::Channel) => fed = true,
                },
                message = read.wait() => {
                    let Some(message) = message else {
                        break;
                    };
                    self.take(message, start, progress, &mut *on_output)?;
                    if progress.gate.is_open() {
                        ready.notify_one();
                    }
                    if progress.stopped || progress.closed {
                        break;
                    }
                }
                () = sleep_until(deadline) => match late {
                    Some(error) => return Err(error),
                    None => break,
                },
            }
        }
        Ok(())
    }

    /// The next point in time at which something must have happened, and what is wrong if it has
    /// not; nothing is wrong if the program has ended and only its channel stays open.
    fn deadline(&self, job: &Job<'_>, progress: &Progress) -> (Instant, Option<ReachError>) {
        let Job {
            start, begin, end, ..
        } = *job;
        let timeouts = &self.options.timeouts;
        if let Some(linger) = progress.linger {
            return (linger.min(end), None);
        }
        let answer = begin + timeouts.channel_open;
        if !progress.accepted && answer < end {
            let error = ReachError::new(
                Phase::Start,
                "the server did not answer the request to run a command",
            );
            return (answer, Some(error));
        }
        let sudo = begin + timeouts.login;
        if start.waits() && !progress.gate.is_open() && sudo < end {
            return (sudo, Some(start.silence()));
        }
        let error = ReachError::new(Phase::Run, "the program did not end within its time");
        (end, Some(error))
    }

    fn conclude(&self, start: &Start, mut progress: Progress) -> Result<Ended, ReachError> {
        let ended = &mut progress.ended;
        ended.stderr = start.tidy(std::mem::take(&mut ended.stderr));
        if progress.stopped {
            return Ok(progress.ended);
        }
        let has_ended = ended.status.is_some() || ended.signal.is_some();
        if !has_ended && self.handle.is_closed() {
            return Err(self.lost(if progress.gate.is_open() {
                Phase::Run
            } else {
                Phase::Start
            }));
        }
        if !progress.gate.is_open() {
            return Err(start.failure(&progress.ended));
        }
        Ok(progress.ended)
    }

    fn lost(&self, phase: Phase) -> ReachError {
        ReachError::new(phase, self.seen.lost("the connection was lost"))
    }

    fn take(
        &self,
        message: ChannelMsg,
        start: &Start,
        progress: &mut Progress,
        on_output: OnOutput<'_>,
    ) -> Result<(), ReachError> {
        match message {
            ChannelMsg::Success => progress.accepted = true,
            ChannelMsg::Failure => {
                return Err(
                    ReachError::new(Phase::Start, "the server refuses to run a command")
                        .hint("the account may be limited to something else, such as SFTP"),
                );
            }
            ChannelMsg::Data { data } => {
                progress.accepted = true;
                let bytes = progress.gate.feed(&data)?;
                if !bytes.is_empty() && on_output(&bytes).is_break() {
                    progress.stopped = true;
                }
            }
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                progress.accepted = true;
                keep(&mut progress.ended.stderr, &data);
                if !progress.gate.is_open() && start.is_refused(&progress.ended.stderr) {
                    return Err(start.wrong_password());
                }
            }
            ChannelMsg::ExitStatus { exit_status } => {
                progress.ended.status = Some(exit_status);
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                progress.ended.signal = Some(clean(&signal_text(&signal_name), 40));
            }
            ChannelMsg::Close => progress.closed = true,
            _ => {}
        }
        // Something in the background may hold the output open for ever. What the program itself
        // wrote has been sent before, or follows at once.
        if progress.ended.status.is_some() || progress.ended.signal.is_some() {
            progress.linger = Some(Instant::now() + self.options.timeouts.linger);
        }
        Ok(())
    }
}

/// Why not all could be sent.
enum FeedError {
    /// It says itself what happened to it.
    Channel,
    Input(std::io::Error),
}

impl From<russh::Error> for FeedError {
    fn from(_: russh::Error) -> Self {
        FeedError::Channel
    }
}

pub(super) fn unreadable(error: &std::io::Error) -> ReachError {
    let why = clean(&error.to_string(), 500);
    ReachError::new(Phase::Run, format!("reading what is to be sent: {why}"))
}

/// What is fixed for the time of one exchange.
struct Job<'a> {
    start: &'a Start,
    password: Option<&'a SecretString>,
    program: &'a str,
    begin: Instant,
    end: Instant,
}

/// `KILL`, `TERM` and their like.
fn signal_text(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name.clone(),
        other => format!("{other:?}"),
    }
}

/// A password that holds a line break would end up as two answers, the second of them sh's.
pub(super) fn check_password(password: &SecretString) -> Result<(), ReachError> {
    if password.expose_secret().contains(['\n', '\r', '\0']) {
        return Err(ReachError::new(
            Phase::Sudo,
            "the password for sudo holds a line break, which no terminal could type",
        ));
    }
    Ok(())
}
