//! Shares syncs: callers that wait at the same time wait for the same `fdatasync`.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};
use portolan_sources::{Barrier, Blocking};

/// How many failed syncs are remembered. A caller has asked for its result long before so many more fail.
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
    /// The thread is syncing; it looks for more when it is done.
    busy: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    done: Condvar,
    /// Told the newest sequence number after every sync that succeeds.
    durable: Box<dyn Fn(u64) + Send + Sync>,
}

/// Makes appends durable. A sync begins when its append is announced, so that it runs while the kernel makes the link.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Arc<dyn Blocking>,
}

impl Syncer {
    /// Syncs are made on `thread`, which does nothing else: those who wait for a sync may hold all
    /// other threads. `durable` is told the newest sequence number after every sync that succeeds.
    pub(super) fn new(thread: Arc<dyn Blocking>, durable: impl Fn(u64) + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            done: Condvar::new(),
            durable: Box::new(durable),
        });
        Self { shared, thread }
    }

    /// Announces an append, with events up to `seq`, that `barrier` makes durable; the ticket to
    /// wait with. Called in the order of the appends.
    pub(super) fn announce(&self, barrier: Barrier, seq: u64) -> u64 {
        let mut queue = self.shared.queue.lock();
        queue.seq = queue.seq.max(seq);
        queue.written += 1;
        queue.barrier = Some(barrier);
        let (ticket, busy) = (queue.written, std::mem::replace(&mut queue.busy, true));
        drop(queue);
        if !busy {
            let shared = Arc::clone(&self.shared);
            self.thread.start(Box::new(move || shared.sync_all()));
        }
        ticket
    }

    /// Whether a sync failed since this was last asked: then what the file holds is not known.
    pub(super) fn take_distrust(&self) -> bool {
        std::mem::take(&mut self.shared.queue.lock().distrust)
    }

    /// Waits until the append of `ticket` is durable.
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

impl Shared {
    /// Syncs until nothing is left to sync.
    fn sync_all(&self) {
        let mut queue = self.queue.lock();
        while let Some(barrier) = queue.barrier.take() {
            let (from, upto, seq) = (queue.tried, queue.written, queue.seq);
            let result = MutexGuard::unlocked(&mut queue, || barrier().inspect(|()| (self.durable)(seq)));
            queue.tried = upto;
            if let Err(error) = result {
                queue.distrust = true;
                queue.failed.push_back((from, upto, error.kind()));
                if queue.failed.len() > KEPT_FAILURES {
                    queue.failed.pop_front();
                }
            }
            self.done.notify_all();
        }
        queue.busy = false;
        self.done.notify_all();
    }
}

impl Drop for Syncer {
    /// What was announced is synced before it ends.
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        while queue.busy {
            self.shared.done.wait(&mut queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use portolan_sources::OwnThread;
    use portolan_sources::testing::OnTheSpot;

    use super::*;

    fn syncer() -> Syncer {
        let thread = OwnThread::start("test", 128 << 10).unwrap();
        Syncer::new(Arc::new(thread), |_| ())
    }

    #[test]
    fn waiters_share_a_sync() {
        let syncer = syncer();
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
        let syncer = syncer();
        let good = syncer.announce(Box::new(|| Ok(())), 1);
        syncer.wait(good).unwrap();
        let bad = syncer.announce(Box::new(|| Err(io::ErrorKind::StorageFull.into())), 2);
        assert_eq!(syncer.wait(bad).unwrap_err().kind(), io::ErrorKind::StorageFull);
        let later = syncer.announce(Box::new(|| Ok(())), 1);
        syncer.wait(later).unwrap();
        syncer.wait(good).unwrap();
    }

    #[test]
    fn on_the_spot_everything_announced_is_durable_at_once() {
        let durable = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&durable);
        let syncer = Syncer::new(Arc::new(OnTheSpot), move |seq| {
            told.store(usize::try_from(seq).unwrap(), Ordering::SeqCst);
        });
        let ticket = syncer.announce(Box::new(|| Ok(())), 7);
        assert_eq!(durable.load(Ordering::SeqCst), 7);
        syncer.wait(ticket).unwrap();
    }
}
