//! The lab's own loop: requests and steps one at a time on the main thread, until somebody asks it to end.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::lab::{Lab, LabError};
use crate::protocol::{Answer, Request, read_line, write_line};
use crate::signals::EndSignals;

/// How often it looks whether all programs still run.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a client may take to write its line.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves until asked to end (`Ok`), or until the control plane does not run (the error).
pub fn serve(lab: &mut Lab, listener: &UnixListener, signals: &EndSignals) -> Result<(), LabError> {
    let mut idle = Duration::ZERO;
    loop {
        let asked = wait(lab, listener, signals, idle.min(LOOK_EVERY)).map_err(|source| LabError::Io {
            what: "wait".into(),
            source,
        })?;
        if signals.asked() {
            return Ok(());
        }
        lab.all_alive()?;
        if asked && let Ok((stream, _)) = listener.accept() {
            // A client that has gone away needs no answer, and no other concerns us.
            let _ = converse(lab, stream);
        }
        idle = match lab.turn() {
            true => Duration::ZERO,
            false => lab.idle().unwrap_or(LOOK_EVERY),
        };
    }
}

/// Waits for a request, a signal, a change in the control plane, or for some time. Whether there is a request.
fn wait(lab: &Lab, listener: &UnixListener, signals: &EndSignals, limit: Duration) -> io::Result<bool> {
    let mut ready = vec![
        PollFd::new(listener, PollFlags::IN),
        PollFd::new(signals, PollFlags::IN),
    ];
    let bell = lab.bell();
    ready.extend(bell.as_ref().map(|bell| PollFd::new(bell, PollFlags::IN)));
    let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
    match poll(&mut ready, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!ready[0].revents().is_empty()),
        Err(error) => Err(error.into()),
    }
}

fn converse(lab: &mut Lab, mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let answer = match serde_json::from_str::<Request>(&read_line(&stream)?) {
        Err(error) => Answer::Error(format!("this is no request: {error}")),
        Ok(request) => match lab.handle(&request) {
            Ok(report) => Answer::Ok(Box::new(report)),
            Err(error) => Answer::Error(error.to_string()),
        },
    };
    write_line(&mut stream, &answer)
}
