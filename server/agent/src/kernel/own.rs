//! What is our own doing, so that it is not taken for news.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

/// Links whose removal is remembered, at most: their end may be heard some time later.
const MOST_LINKS: usize = 1024;

/// Sockets that are ours and links that we remove. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Own(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    ports: BTreeSet<u32>,
    links: VecDeque<u32>,
}

impl Own {
    /// A socket of ours has this port: what is asked through it is announced with its number.
    pub(super) fn port(&self, port: u32) -> KnownPort {
        self.0.lock().ports.insert(port);
        KnownPort {
            own: self.clone(),
            port,
        }
    }

    /// Whether a socket of ours that is open now has this port.
    pub(super) fn has_port(&self, port: u32) -> bool {
        self.0.lock().ports.contains(&port)
    }

    /// We remove the link of this number, which the kernel gives to no other for a long time. It is set
    /// down and loses its addresses first, which is announced as nobody's doing.
    pub(super) fn removing(&self, index: u32) {
        let links = &mut self.0.lock().links;
        links.push_back(index);
        if links.len() > MOST_LINKS {
            links.pop_front();
        }
    }

    /// Whether we remove this link, or did lately.
    pub(super) fn removes(&self, index: u32) -> bool {
        self.0.lock().links.contains(&index)
    }
}

/// A port that is known as ours while this lives.
pub(super) struct KnownPort {
    own: Own,
    port: u32,
}

impl Drop for KnownPort {
    fn drop(&mut self) {
        self.own.0.lock().ports.remove(&self.port);
    }
}
