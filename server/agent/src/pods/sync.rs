//! Syncs that are shared: whoever waits at the same time waits for the same `fdatasync`.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;

use parking_lot::{Condvar, Mutex};
use portolan_sources::Barrier;

/// Stack of the syncing thread, in bytes.
const SMALL_STACK: usize = 128 << 10;

/// Failed syncs that are remembered: who waited for one has asked long before as many more fail.
const KEPT_FAILURES: usize = 64;

#[derive(Default)]
struct Queue {
    /// The number of the newest append.
    written: u64,
    /// The newest sequence number of an event among the appends.
    seq: u64,
    /// All up to this number have been tried.
    tried: u64,
    /// Syncs that failed: appends after the first number, up to the second, are to be taken as lost.
    failed: VecDeque<(u64, u64, io::ErrorKind)>,
    barrier: Option<Barrier>,
    /// A sync failed since it was last asked.
    distrust: bool,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    done: Condvar,
}

/// A thread that makes appends durable. It starts to work when an append is announced, so that the
/// sync and what the kernel is asked meanwhile go on side by side.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Syncer {
    /// `durable` is told the newest sequence number after every sync that succeeds.
    pub(super) fn start(durable: impl Fn(u64) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = {
            let shared = Arc::clone(&shared);
            move || run(&shared, durable)
        };
        let thread = thread::Builder::new()
            .name("pods-sync".into())
            .stack_size(SMALL_STACK)
            .spawn(work)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Announces an append, with events up to `seq`, that `barrier` makes durable; the ticket to
    /// wait with. Called in the order of the appends.
    pub(super) fn announce(&self, barrier: Barrier, seq: u64) -> u64 {
        let mut queue = self.shared.queue.lock();
        queue.seq = queue.seq.max(seq);
        queue.written += 1;
        queue.barrier = Some(barrier);
        self.shared.wake.notify_one();
        queue.written
    }

    /// Whether a sync failed since this was last asked: then what the file holds is not known.
    pub(super) fn take_distrust(&self) -> bool {
        std::mem::take(&mut self.shared.queue.lock().distrust)
    }

    /// Until the append of `ticket` is durable.
    pub(super) fn wait(&self, ticket: u64) -> io::Result<()> {
        let mut queue = self.shared.queue.lock();
        while queue.tried < ticket {
            self.shared.done.wait(&mut queue);
        }
        match queue
            .failed
            .iter()
            .find(|(after, upto, _)| ticket > *after && ticket <= *upto)
        {
            Some((.., kind)) => Err((*kind).into()),
            None => Ok(()),
        }
    }
}

fn run(shared: &Shared, durable: impl Fn(u64)) {
    let mut queue = shared.queue.lock();
    loop {
        match queue.barrier.take() {
            Some(barrier) => {
                let (from, upto, seq) = (queue.tried, queue.written, queue.seq);
                let result = parking_lot::MutexGuard::unlocked(&mut queue, || barrier().inspect(|()| durable(seq)));
                queue.tried = upto;
                if let Err(error) = result {
                    queue.distrust = true;
                    queue.failed.push_back((from, upto, error.kind()));
                    if queue.failed.len() > KEPT_FAILURES {
                        queue.failed.pop_front();
                    }
                }
                shared.done.notify_all();
            }
            None if queue.stop => return,
            None => shared.wake.wait(&mut queue),
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.queue.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // Its work cannot panic; and if it did there would be nothing left to do here.
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn waiters_share_a_sync() {
        let syncer = Syncer::start(|_| ()).unwrap();
        let syncs = Arc::new(AtomicUsize::new(0));
        let (open, gate) = mpsc::channel::<()>();
        let (started, running) = mpsc::channel::<()>();
        let first = syncer.announce(
            Box::new(move || {
                started.send(()).map_err(io::Error::other)?;
                gate.recv().map_err(io::Error::other)?;
                Ok(())
            }),
            1,
        );
        running.recv().unwrap();
        let tickets: Vec<u64> = (0..10)
            .map(|_| {
                let syncs = Arc::clone(&syncs);
                let counted = move || {
                    syncs.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                };
                syncer.announce(Box::new(counted), 2)
            })
            .collect();
        open.send(()).unwrap();
        syncer.wait(first).unwrap();
        tickets.iter().for_each(|ticket| syncer.wait(*ticket).unwrap());
        assert!(syncs.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn a_failed_sync_fails_those_who_waited_and_no_others() {
        let syncer = Syncer::start(|_| ()).unwrap();
        let good = syncer.announce(Box::new(|| Ok(())), 1);
        syncer.wait(good).unwrap();
        let bad = syncer.announce(Box::new(|| Err(io::ErrorKind::StorageFull.into())), 2);
        assert_eq!(syncer.wait(bad).unwrap_err().kind(), io::ErrorKind::StorageFull);
        let later = syncer.announce(Box::new(|| Ok(())), 1);
        syncer.wait(later).unwrap();
        syncer.wait(good).unwrap();
    }
}
