//! Programs the lab starts: in a network namespace, with a log, and dead when the lab is dead.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

use crate::netns::{self, Namespace};
use crate::signals;
use crate::wait::until;

/// How much of a log is shown when its program failed, in bytes.
const TAIL: u64 = 2_000;

/// Why a program of the lab did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its path.
        program: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended by itself ({status}). It said last:\n{tail}")]
    Ended {
        /// What the lab calls it.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        tail: String,
    },
    /// It lives, but did not do something in time.
    #[error("{name} did not {what} within {seconds} s. It said last:\n{tail}")]
    Late {
        /// What the lab calls it.
        name: String,
        /// What was waited for.
        what: &'static str,
        /// For how long.
        seconds: u64,
        /// The end of its log.
        tail: String,
    },
}

/// Ties a command to this process: it is killed when the calling thread ends, and starts inside `namespace` if there is
/// one, with no signal held back. To be called on a thread that lives as long as the lab: on the main one.
#[expect(unsafe_code, reason = "only code between fork and exec ties a child to its parent")]
pub fn tie(command: &mut Command, namespace: Option<&Namespace>) -> io::Result<()> {
    let namespace = namespace.map(Namespace::open).transpose()?;
    let parent = rustix::process::getpid();
    let in_child = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(parent) {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe)); // The lab died between fork and here.
        }
        signals::release()?;
        namespace.as_ref().map_or(Ok(()), netns::enter)
    };
    // SAFETY: the closure makes system calls only; it neither allocates nor takes locks.
    unsafe { command.pre_exec(in_child) };
    Ok(())
}

/// Lets a command inherit a descriptor under the number it has here.
#[expect(
    unsafe_code,
    reason = "only code between fork and exec hands a descriptor to one child"
)]
pub fn inherit(command: &mut Command, fd: OwnedFd) {
    // SAFETY: one fcntl on a descriptor that the closure owns.
    unsafe { command.pre_exec(move || fcntl_setfd(fd.as_fd(), FdFlags::empty()).map_err(io::Error::from)) };
}

/// A program that runs beside the lab.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts it in a process group of its own (a Ctrl-C on the terminal is the lab's to handle), its output appended to
    /// `log`.
    pub fn start(
        name: &str,
        mut command: Command,
        namespace: Option<&Namespace>,
        log: PathBuf,
    ) -> Result<Self, ChildError> {
        let program = PathBuf::from(command.get_program());
        let started = || {
            let out = OpenOptions::new().create(true).append(true).open(&log)?;
            command
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(out)
                .process_group(0);
            tie(&mut command, namespace)?;
            command.spawn()
        };
        let mut started = started;
        let child = started().map_err(|source| ChildError::Start { program, source })?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended.
    pub fn alive(&mut self) -> Result<(), ChildError> {
        match self.child.try_wait() {
            Ok(Some(status)) => Err(ChildError::Ended {
                name: self.name.clone(),
                status,
                tail: tail(&self.log),
            }),
            // An error would mean that it is not our child: it is, so look again later.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// The error that says it is late.
    pub fn late(&self, what: &'static str, limit: Duration) -> ChildError {
        ChildError::Late {
            name: self.name.clone(),
            what,
            seconds: limit.as_secs(),
            tail: tail(&self.log),
        }
    }

    /// Sends it a signal. Fine when it has ended.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end until `deadline`, then kills it.
    pub fn finish(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = until(left, || self.child.try_wait());
        if !matches!(ended, Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The end of a text file, as lines indented for an error message.
fn tail(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes)
            .lines()
            .map(|line| format!("  {line}\n"))
            .collect())
    };
    read().unwrap_or_else(|error| format!("  (its log cannot be read: {error})"))
}
