//! Reading bodies on threads beside the one that reads rows: loading uses more cores than one.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, sync_channel};

use portolan_core::model::{Object, ObjectKind};
use portolan_sources::Threads;

use super::{StoreError, upgrade};

/// Bodies handed over at once.
const CHUNK: usize = 2048;
/// Chunks on their way at most: what is read ahead stays small.
const AHEAD: usize = 4;

/// A body, and its version.
type Body = (i64, Vec<u8>);

/// Takes bodies, and hands out the objects in the same order.
pub(super) struct Parser<'e> {
    each: &'e mut dyn FnMut(Object),
    threads: &'e dyn Threads,
    kind: ObjectKind,
    bodies: Vec<Body>,
    /// What comes of the chunks that were handed over, oldest first.
    ahead: VecDeque<Receiver<Result<Vec<Object>, StoreError>>>,
}

/// Calls `read` with a parser; all objects have been handed to `each` when it returns.
pub(super) fn beside<R>(
    threads: &dyn Threads,
    each: &mut dyn FnMut(Object),
    read: impl FnOnce(&mut Parser<'_>) -> Result<R, StoreError>,
) -> Result<R, StoreError> {
    let mut parser = Parser {
        each,
        threads,
        kind: ObjectKind::Project,
        bodies: Vec::new(),
        ahead: VecDeque::new(),
    };
    let result = read(&mut parser)?;
    parser.send()?;
    while !parser.ahead.is_empty() {
        parser.receive()?;
    }
    Ok(result)
}

impl Parser<'_> {
    /// The next body, of this version.
    pub(super) fn push(&mut self, kind: ObjectKind, version: i64, body: &[u8]) -> Result<(), StoreError> {
        if self.kind != kind || self.bodies.len() == CHUNK {
            self.send()?;
            self.kind = kind;
        }
        self.bodies.push((version, body.to_vec()));
        Ok(())
    }

    fn send(&mut self) -> Result<(), StoreError> {
        if self.bodies.is_empty() {
            return Ok(());
        }
        if self.ahead.len() == AHEAD {
            self.receive()?;
        }
        let (kind, bodies) = (self.kind, std::mem::take(&mut self.bodies));
        let (parsed, receiver) = sync_channel(1);
        let work = move || {
            // The other end is gone when reading has failed.
            let _ = parsed.send(parse(kind, &bodies));
        };
        self.threads
            .start("parse", Box::new(work))
            .map_err(|error| StoreError::Failed(format!("cannot start a thread: {error}")))?;
        self.ahead.push_back(receiver);
        Ok(())
    }

    fn receive(&mut self) -> Result<(), StoreError> {
        let Some(oldest) = self.ahead.pop_front() else {
            return Ok(());
        };
        let objects = oldest.recv().map_err(|_| gone())??;
        objects.into_iter().for_each(&mut *self.each);
        Ok(())
    }
}

fn parse(kind: ObjectKind, bodies: &[Body]) -> Result<Vec<Object>, StoreError> {
    let object = |(version, body): &Body| upgrade::object(kind, *version, body);
    bodies.iter().map(object).collect()
}

fn gone() -> StoreError {
    StoreError::Failed("a thread that reads bodies ended".to_owned())
}
