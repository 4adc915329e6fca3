//! Packets from one pod to another, all the time, and for how long none came back.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portolan_lab::echo;
use portolan_lab::netns::Namespace;

/// How long an answer is waited for before the next packet.
const EACH: Duration = Duration::from_millis(5);

/// How long a connection may take where packets pass.
const CONNECTION: Duration = Duration::from_secs(2);

/// What has been seen.
struct Seen {
    last: Instant,
    longest: Duration,
}

/// Packets under way.
pub(super) struct Traffic {
    from: String,
    to: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Begins, from inside a namespace.
    pub(super) fn begin(from: &str, to: SocketAddr) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            last: Instant::now(),
            longest: Duration::ZERO,
        }));
        let stop = Arc::new(AtomicBool::new(false));
        let (into, until, inside) = (Arc::clone(&seen), Arc::clone(&stop), Namespace::named(from));
        let thread = thread::spawn(move || {
            let send = || {
                while !until.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    if answered(to) {
                        let mut seen = into.lock().unwrap();
                        seen.longest = seen.longest.max(seen.last.elapsed());
                        seen.last = Instant::now();
                    }
                    thread::sleep(EACH.saturating_sub(sent.elapsed()));
                }
            };
            inside.within(send).unwrap();
        });
        Self {
            from: from.to_owned(),
            to,
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// For how long nothing has come back by now.
    pub(super) fn silent(&self) -> Duration {
        self.seen.lock().unwrap().last.elapsed()
    }

    /// The longest time without an answer so far.
    pub(super) fn longest(&self) -> Duration {
        let seen = self.seen.lock().unwrap();
        seen.longest.max(seen.last.elapsed())
    }

    /// Whether a connection can be made as well.
    pub(super) fn connects(&self) -> bool {
        let asked = Namespace::named(&self.from).within(|| echo::ask(self.to, CONNECTION));
        asked.unwrap().is_ok()
    }
}

/// Whether a packet comes back, from a port of its own each time: firewalls let pass what they have seen before. An error
/// is an earlier packet's ICMP answer, and a packet lost.
fn answered(to: SocketAddr) -> bool {
    let any = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).unwrap();
    socket.set_read_timeout(Some(EACH)).unwrap();
    let sent = socket.connect(to).and_then(|()| socket.send(b"packet"));
    sent.and_then(|_| socket.recv(&mut [0; 8])).is_ok()
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
