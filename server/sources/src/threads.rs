//! Threads of one's own.

use std::{io, thread};

/// Gives threads.
pub trait Threads: Send + Sync + 'static {
    /// Does `work` on a thread of its own, which has this name and ends with it.
    ///
    /// # Errors
    /// If the operating system gives no thread; the work is not done then.
    fn start(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}

/// The operating system's threads.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemThreads;

impl Threads for SystemThreads {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the operating system is asked for a thread"
    )]
    fn start(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        // Whoever waits for the work has a channel of its own.
        thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::testing::OnTheSpot;

    #[test]
    fn work_is_done_on_a_thread_of_that_name_or_on_the_spot() {
        let name_of = |threads: &dyn Threads| {
            let (tell, told) = mpsc::channel();
            let work = move || tell.send(thread::current().name().map(str::to_owned)).unwrap();
            threads.start("writer", Box::new(work)).unwrap();
            told.recv().unwrap()
        };
        assert_eq!(name_of(&SystemThreads).as_deref(), Some("writer"));
        assert_eq!(name_of(&OnTheSpot), thread::current().name().map(str::to_owned));
    }
}
