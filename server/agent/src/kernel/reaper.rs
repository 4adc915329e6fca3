//! Removing links without waiting for the kernel's memory to settle.
//!
//! `RTM_DELLINK` takes the link out of its namespace within a millisecond and tells everybody (`RTNLGRP_LINK`), but its
//! sender then sleeps some 20 ms until all processors have passed by (`rcu_barrier` in `netdev_run_todo`, after the
//! lock is let go). So a thread of its own sends the request, and the caller waits for the notification instead.

#![expect(clippy::disallowed_methods, reason = "the kernel makes the thread sleep")]

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_sources::Stopwatch;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::socket::{Reply, Socket};
use super::sockets::Sockets;
use super::{KernelError, decode, messages};

/// Threads that may sleep in the kernel at once; beyond it the caller sleeps itself.
const MOST_THREADS: usize = 64;

/// Stack of a thread that sends one request, in bytes.
const SMALL_STACK: usize = 128 << 10;

/// How long to wait for either answer before the matter is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes links.
pub(super) struct Reaper {
    sockets: Arc<Sockets>,
    stopwatch: Arc<dyn Stopwatch>,
    sleeping: Arc<AtomicUsize>,
}

/// What the sending thread leaves behind.
type Answer = Arc<Mutex<Option<Result<(), KernelError>>>>;

impl Reaper {
    pub(super) fn new(sockets: Arc<Sockets>, stopwatch: Arc<dyn Stopwatch>) -> Self {
        Self {
            sockets,
            stopwatch,
            sleeping: Arc::default(),
        }
    }

    /// Removes a link of the host; returns when it is in no namespace any more.
    pub(super) fn remove(&self, index: u32, name: &str) -> Result<(), KernelError> {
        self.sockets.own().removing(index);
        if self.sleeping.fetch_add(1, Ordering::Relaxed) >= MOST_THREADS {
            self.sleeping.fetch_sub(1, Ordering::Relaxed);
            return self
                .sockets
                .with(|socket| socket.one(messages::del_link(index, name)))
                .map(drop);
        }
        self.hand_over(index, name)
    }

    fn hand_over(&self, index: u32, name: &str) -> Result<(), KernelError> {
        let leave = Leave(Arc::clone(&self.sleeping));
        let talk = |source: io::Error| KernelError::Talk {
            what: format!("the removal of the link {name}"),
            source,
        };
        // Listening begins before the request is sent, or the notification could be missed.
        let mut news = self.sockets.open().map_err(talk)?;
        news.listen(messages::LINK_GROUP).map_err(talk)?;
        let answered =
            Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|e| talk(e.into()))?);
        let answer = Answer::default();
        let work = {
            let (sockets, answered, answer) = (Arc::clone(&self.sockets), Arc::clone(&answered), Arc::clone(&answer));
            let request = messages::del_link(index, name);
            move || {
                let _leave = leave;
                let result = sockets.with(|socket| socket.one(request)).map(drop);
                *answer.lock() = Some(result);
                // A full counter would mean that it is readable already.
                let _readable = rustix::io::write(&*answered, &1u64.to_ne_bytes());
            }
        };
        thread::Builder::new()
            .name("reaper".into())
            .stack_size(SMALL_STACK)
            .spawn(work)
            .map_err(talk)?;
        let removal = Removal {
            index,
            answered: &answered,
            answer: &answer,
        };
        removal.wait(&mut news, &*self.stopwatch).map_err(talk)?
    }
}

/// Counts down when a thread ends, also by a panic.
struct Leave(Arc<AtomicUsize>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A removal that is under way.
struct Removal<'a> {
    /// The kernel's number of the link.
    index: u32,
    /// Readable once there is an answer.
    answered: &'a OwnedFd,
    answer: &'a Mutex<Option<Result<(), KernelError>>>,
}

impl Removal<'_> {
    /// Until the link is gone or its removal is answered, whichever comes first. `news` listens to
    /// what becomes of links.
    fn wait(&self, news: &mut Socket, stopwatch: &dyn Stopwatch) -> io::Result<Result<(), KernelError>> {
        let end = stopwatch.elapsed() + PATIENCE;
        let mut listening = true;
        loop {
            let left = end.saturating_sub(stopwatch.elapsed());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let (told, answered) = poll_both(news, listening, self.answered, left)?;
            if answered && let Some(result) = self.answer.lock().take() {
                return Ok(result);
            }
            if told && listening {
                match news.notifications() {
                    Ok(replies) if replies.iter().any(|reply| self.is_end(reply)) => return Ok(Ok(())),
                    Ok(_) => {}
                    // More happened than the buffer holds: wait for the answer instead.
                    Err(_) => listening = false,
                }
            }
        }
    }

    fn is_end(&self, reply: &Reply) -> bool {
        reply.kind == messages::DEL_LINK && decode::link(&reply.payload).is_some_and(|link| link.index == self.index)
    }
}

/// Waits for news or an answer, at most `left`; which of them there may be.
fn poll_both(news: &Socket, listening: bool, answered: &OwnedFd, left: Duration) -> io::Result<(bool, bool)> {
    let interest = if listening { PollFlags::IN } else { PollFlags::empty() };
    let mut fds = [PollFd::new(news, interest), PollFd::new(answered, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok((!fds[0].revents().is_empty(), !fds[1].revents().is_empty()))
}
