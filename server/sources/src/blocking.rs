//! Work that blocks, away from the tasks that must not.

use std::sync::Arc;

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
    fn start(&self, work: Box<dyn FnOnce() + Send>) {
        // Whoever waits for the work has a channel of its own.
        drop(tokio::task::spawn_blocking(work));
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
    fn a_result_comes_back_and_a_panic_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let workers = Workers::default();
            assert_eq!(workers.run(|| 7).await, Ok(7));
            assert_eq!(workers.run(|| panic!("on purpose")).await, Err::<(), _>(WorkPanicked));
        });
    }
}
