//! Being told when clusters or nodes change: the control plane's event stream, read on a thread of its own, as something
//! to poll.
//!
//! It only ever says *look again*. So nothing depends on what an event holds, or on each one arriving: a stream that was
//! cut is taken up where it ended, and whenever one begins, or the server could not keep what was missed, that is a
//! reason to look as well.

use std::io::{self, BufRead};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use portolan_shared::v1::{ChangeEvent, Kind, ProgressEvent};
use rustix::event::{EventfdFlags, eventfd};

use crate::api::nodes::Admin;
use crate::plan::back_off;

/// One event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    /// Something changed.
    Change(ChangeEvent),
    /// Nothing did, up to this revision.
    Progress(u64),
    /// What was missed is gone.
    Reset(u64),
}

impl Event {
    fn revision(&self) -> u64 {
        match self {
            Self::Change(change) => change.revision,
            Self::Progress(revision) | Self::Reset(revision) => *revision,
        }
    }

    /// Whether it is a reason to look at clusters and nodes.
    fn concerns_us(&self) -> bool {
        match self {
            Self::Change(change) => {
                let kinds = change.changes.iter().map(|change| change.kind);
                kinds.into_iter().any(|kind| matches!(kind, Kind::Cluster | Kind::Node))
            }
            Self::Progress(_) => false,
            Self::Reset(_) => true,
        }
    }
}

/// Reads server-sent events; ends with the stream or its first error. What is not understood is passed over.
fn events(stream: impl BufRead) -> impl Iterator<Item = Event> {
    let (mut kind, mut data) = (String::new(), String::new());
    stream.lines().map_while(Result::ok).filter_map(move |line| {
        if let Some(value) = line.strip_prefix("event:") {
            value.trim_start().clone_into(&mut kind);
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push_str(value.trim_start());
        } else if line.is_empty() {
            let event = event(&kind, &data);
            kind.clear();
            data.clear();
            return event;
        }
        None
    })
}

fn event(kind: &str, data: &str) -> Option<Event> {
    let mark = || serde_json::from_str(data).ok().map(|mark: ProgressEvent| mark.revision);
    match kind {
        "change" => serde_json::from_str(data).ok().map(Event::Change),
        "progress" => mark().map(Event::Progress),
        "reset" => mark().map(Event::Reset),
        _ => None,
    }
}

/// What the thread and its owner share.
#[derive(Debug)]
struct Bell {
    rung: OwnedFd,
    ended: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        // It can only be full of rings that nobody has taken.
        let _ = rustix::io::write(&self.rung, &1_u64.to_ne_bytes());
    }
}

/// A reader of the event stream. Polls as readable when there is a reason to look.
#[derive(Debug)]
pub struct Watch(Arc<Bell>);

impl Watch {
    /// Starts one; the first reason to look is there at once.
    pub fn start(admin: Admin) -> io::Result<Self> {
        let bell = Arc::new(Bell {
            rung: eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            ended: AtomicBool::new(false),
        });
        let ours = Arc::clone(&bell);
        thread::Builder::new()
            .name("events".into())
            .spawn(move || follow(admin, &ours))?;
        Ok(Self(bell))
    }

    /// Whether there was a reason to look since this was last asked.
    pub fn rung(&self) -> bool {
        rustix::io::read(&self.0.rung, &mut [0_u8; 8]).is_ok()
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.rung.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Relaxed);
    }
}

fn follow(mut admin: Admin, bell: &Bell) {
    let (mut last, mut failures) = (None, 0);
    while !bell.ended.load(Ordering::Relaxed) {
        if let Ok(stream) = admin.events(last) {
            bell.ring();
            for event in events(stream) {
                failures = 0;
                last = Some(event.revision());
                if event.concerns_us() {
                    bell.ring();
                }
            }
        }
        failures += 1;
        thread::sleep(back_off(failures));
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use super::*;
    use crate::api::Api;

    const TEXT: &str = "event: progress\nid: 7\ndata: {\"revision\":7}\n\n\
        : a comment\n\
        event: change\nid: 8\ndata: {\"revision\":8,\"changes\":[{\"kind\":\"port\",\"op\":\"put\",\"id\":\"p\"}]}\n\n\
        event: novelty\ndata: {}\n\n\
        event: change\nid: 9\ndata: {\"revision\":9,\"changes\":[{\"kind\":\"port\",\"op\":\"put\",\"id\":\"p\"},\n\
        data: {\"kind\":\"node\",\"op\":\"delete\",\"id\":\"n\"}]}\n\n\
        event: reset\ndata: {\"revision\":12}\n\n\
        event: change\ndata: {\"revision\":13,\"cha";

    #[test]
    fn events_are_read_whole_and_what_is_not_understood_is_passed_over() {
        let read: Vec<_> = events(TEXT.as_bytes()).collect();
        let revisions: Vec<_> = read.iter().map(Event::revision).collect();
        assert_eq!(revisions, [7, 8, 9, 12]);
        assert!(
            matches!(&read[2], Event::Change(change) if change.changes.len() == 2),
            "{read:?}"
        );
    }

    #[test]
    fn clusters_nodes_and_gaps_are_reasons_to_look() {
        let reasons: Vec<_> = events(TEXT.as_bytes()).map(|event| event.concerns_us()).collect();
        assert_eq!(reasons, [false, false, true, true]);
    }

    /// A control plane of a few answers, one a connection. Tells the head of each request.
    fn answering(answers: Vec<&'static str>) -> (SocketAddr, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = channel();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = String::new();
                let mut length = 0;
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") {
                    let begin = head.len();
                    reader.read_line(&mut head).unwrap();
                    if let Some(value) = head[begin..].to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                tell.send(head.to_lowercase()).unwrap();
            }
        });
        (address, told)
    }

    #[test]
    fn a_stream_that_was_cut_is_taken_up_where_it_ended_by_whoever_has_logged_in_again() {
        const IN_TIME: Duration = Duration::from_secs(60);
        const TOKEN: &str =
            "HTTP/1.1 201 Created\r\nX-Subject-Token: t\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        const CUT: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n\
            event: change\nid: 8\n\
            data: {\"revision\":8,\"changes\":[{\"kind\":\"node\",\"op\":\"put\",\"id\":\"n\"}]}\n\n";
        const ENDED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (address, told) = answering(vec![TOKEN, CUT, ENDED, TOKEN, CUT]);
        let watch = Watch::start(Admin::new(Api::new(address))).unwrap();
        let heads: Vec<String> = (0..5).map(|_| told.recv_timeout(IN_TIME).unwrap()).collect();
        let asked: Vec<&str> = heads.iter().map(|head| head.split(' ').nth(1).unwrap()).collect();
        let (token, events) = ("/v3/auth/tokens", "/portolan/v1/events");
        assert_eq!(asked, [token, events, events, token, events]);
        assert!(!heads[1].contains("last-event-id"), "{}", heads[1]);
        for head in [&heads[2], &heads[4]] {
            assert!(head.contains("last-event-id: 8\r\n"), "{head}");
        }
        assert!(watch.rung());
    }
}
