//! The loop around the writer: takes what waits in the queue, and answers.

use std::sync::Arc;
use std::time::Duration;

use super::Writer;
use super::health::PROBED_EVERY;
use super::queue::{Queue, Running, Work};

/// How long the writer sleeps when nothing waits and nobody else writes to the store.
const IDLE: Duration = Duration::from_secs(20);
/// How often the writer looks for others' commits in a store that they write to too.
const FOLLOW: Duration = Duration::from_millis(20);

/// The writer with the queue it serves.
pub struct WriterLoop {
    /// Dropped before `queue`: callers that are told of the end may open the store again at once.
    writer: Writer,
    queue: Running,
}

impl WriterLoop {
    pub(crate) fn new(writer: Writer, queue: Arc<Queue>) -> Self {
        Self {
            writer,
            queue: Running(queue),
        }
    }

    /// Works until it is told to close; then says so.
    pub fn run(mut self) {
        let patience = if self.writer.store.shared() { FOLLOW } else { IDLE };
        // One that fails is neither left alone for long nor asked all the time.
        let wait = |writer: &Writer| writer.health.why_not().map_or(patience, |_| PROBED_EVERY);
        while self.turn(wait(&self.writer)) {}
    }

    /// Does what waits, at most a batch of it; if nothing does, it waits for something for at most
    /// `patience`. False when this was the last of all.
    pub fn turn(&mut self, patience: Duration) -> bool {
        let Self { writer, queue } = self;
        let Work {
            requests,
            answers,
            waiting,
            closing,
        } = queue.0.take(patience);
        if !requests.is_empty() || !waiting.is_empty() || writer.store.shared() {
            let mut waiting = waiting.into_iter();
            // A caller that gave up waiting does not receive its answer, and that is no error.
            let done = writer.step(&requests, &mut || {
                for at_head in waiting.by_ref() {
                    let _ = at_head.send(Ok(()));
                }
            });
            match done {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        let _ = answer.send(outcome);
                    }
                }
                Err(refusal) => {
                    for answer in answers {
                        let _ = answer.send(Err(refusal.clone()));
                    }
                    for at_head in waiting {
                        let _ = at_head.send(Err(refusal.clone()));
                    }
                }
            }
        }
        if requests.is_empty() {
            writer.probe();
        }
        if closing {
            writer.feed.close();
        } else {
            writer.housekeeping(&|| queue.0.wants_the_writer());
        }
        !closing
    }

    /// The writer, for callers that ask it without the queue.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }
}
