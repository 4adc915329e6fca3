//! Work that blocks, away from the tasks that must not.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::sync::oneshot;

/// Where work that blocks is done.
pub trait Blocking: Send + Sync + 'static {
    /// Does `work`, now or as soon as there is a thread for it.
    fn start(&self, work: Box<dyn FnOnce() + Send>);
}

/// The threads that tokio keeps for blocking work. To be used within a runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemBlocking;

impl Blocking for SystemBlocking {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where tokio's threads are given work"
    )]
    fn start(&self, work: Box<dyn FnOnce() + Send>) {
        // Whoever waits for the work has a channel of its own.
        drop(tokio::task::spawn_blocking(work));
    }
}

/// A thread of its own that does one work after another. It ends once this is dropped and all work is
/// done.
pub struct OwnThread(mpsc::Sender<Box<dyn FnOnce() + Send>>);

impl OwnThread {
    /// Starts a thread of this name with a stack of so many bytes.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "the thread has a stack of its own size, and ends with this"
    )]
    pub fn start(name: &str, stack: usize) -> io::Result<Self> {
        let (work, todo) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let run = move || {
            for work in todo {
                // One work's panic, which the panic hook has told of, is not the next one's.
                let _ = panic::catch_unwind(AssertUnwindSafe(work));
            }
        };
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(stack)
            .spawn(run)?;
        Ok(Self(work))
    }
}

impl Blocking for OwnThread {
    fn start(&self, work: Box<dyn FnOnce() + Send>) {
        // The thread takes work for as long as this is there.
        let _ = self.0.send(work);
    }
}

/// The work has panicked and has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkPanicked;

impl std::fmt::Display for WorkPanicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the work has panicked")
    }
}

impl std::error::Error for WorkPanicked {}

/// Has work done and awaits its result.
#[derive(Clone)]
pub struct Workers(Arc<dyn Blocking>);

impl Workers {
    /// Has the work done by `blocking`.
    pub fn new(blocking: impl Blocking) -> Self {
        Self(Arc::new(blocking))
    }

    /// Does `work` and gives its result. Work that was begun is done also when nobody waits any more.
    ///
    /// # Errors
    /// If the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, WorkPanicked> {
        let (done, result) = oneshot::channel();
        self.0.start(Box::new(move || {
            // Nobody may wait any more.
            let _ = done.send(work());
        }));
        result.await.map_err(|_| WorkPanicked)
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self::new(SystemBlocking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_its_own_works_in_order_and_outlives_a_panic() {
        let thread = OwnThread::start("test", 64 << 10).unwrap();
        let (done, results) = mpsc::channel();
        for n in 0..5 {
            let done = done.clone();
            thread.start(Box::new(move || {
                assert_ne!(n, 2, "on purpose");
                done.send(n).unwrap();
            }));
        }
        drop((thread, done));
        assert_eq!(results.iter().collect::<Vec<i32>>(), [0, 1, 3, 4]);
    }

    #[test]
    fn a_result_comes_back_and_a_panic_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let workers = Workers::default();
            assert_eq!(workers.run(|| 7).await, Ok(7));
            assert_eq!(workers.run(|| panic!("on purpose")).await, Err::<(), _>(WorkPanicked));
        });
    }
}
