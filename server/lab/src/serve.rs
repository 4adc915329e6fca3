//! The lab's own loop: requests one at a time on the main thread, until somebody asks it to end.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::lab::{Lab, LabError};
use crate::protocol::{Answer, Request, read_line, write_line};
use crate::signals::EndSignals;

/// How often it looks whether all programs still run.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};
/// How long a client may take to write its line.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves until asked to end (`Ok`), or until a program of the lab that should run does not (the error).
pub fn serve(lab: &mut Lab, listener: &UnixListener, signals: &EndSignals) -> Result<(), LabError> {
    loop {
        let mut ready = [
            PollFd::new(listener, PollFlags::IN),
            PollFd::new(signals, PollFlags::IN),
        ];
        match poll(&mut ready, Some(&LOOK_EVERY)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(LabError::Io {
                    what: "wait".into(),
                    source: error.into(),
                });
            }
        }
        let asked = !ready[0].revents().is_empty();
        if signals.asked() {
            return Ok(());
        }
        lab.all_alive()?;
        if asked && let Ok((stream, _)) = listener.accept() {
            // A client that has gone away needs no answer, and no other concerns us.
            let _ = converse(lab, stream);
        }
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
