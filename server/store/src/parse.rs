//! Reading bodies on a thread beside the one that reads rows: loading uses two cores.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use portolan_core::model::{Object, ObjectKind};

use super::StoreError;

/// Bodies handed over at once.
const CHUNK: usize = 2048;
/// Chunks on their way at most: what is read ahead stays small.
const AHEAD: usize = 4;

type Chunk = (ObjectKind, Vec<Vec<u8>>);

/// Takes bodies, and hands out the objects in the same order.
pub(super) struct Parser<'e> {
    each: &'e mut dyn FnMut(Object),
    to: SyncSender<Chunk>,
    from: Receiver<Result<Vec<Object>, StoreError>>,
    next: Chunk,
    ahead: usize,
}

/// Calls `read` with a parser; all objects have been handed to `each` when it returns.
pub(super) fn beside<R>(
    each: &mut dyn FnMut(Object),
    read: impl FnOnce(&mut Parser<'_>) -> Result<R, StoreError>,
) -> Result<R, StoreError> {
    std::thread::scope(|scope| {
        let (to, chunks) = sync_channel::<Chunk>(AHEAD);
        let (parsed, from) = sync_channel(AHEAD);
        scope.spawn(move || {
            for (kind, bodies) in chunks {
                // The other end is gone when reading has failed.
                if parsed.send(parse(kind, &bodies)).is_err() {
                    return;
                }
            }
        });
        let mut parser = Parser {
            each,
            to,
            from,
            next: (ObjectKind::Project, Vec::new()),
            ahead: 0,
        };
        let result = read(&mut parser)?;
        parser.send()?;
        while parser.ahead > 0 {
            parser.receive()?;
        }
        Ok(result)
    })
}

impl Parser<'_> {
    /// The next body.
    pub(super) fn push(&mut self, kind: ObjectKind, body: &[u8]) -> Result<(), StoreError> {
        if self.next.0 != kind || self.next.1.len() == CHUNK {
            self.send()?;
            self.next.0 = kind;
        }
        self.next.1.push(body.to_vec());
        Ok(())
    }

    fn send(&mut self) -> Result<(), StoreError> {
        if self.next.1.is_empty() {
            return Ok(());
        }
        while self.ahead >= AHEAD {
            self.receive()?;
        }
        let bodies = std::mem::take(&mut self.next.1);
        self.to.send((self.next.0, bodies)).map_err(|_| gone())?;
        self.ahead += 1;
        Ok(())
    }

    fn receive(&mut self) -> Result<(), StoreError> {
        let objects = self.from.recv().map_err(|_| gone())??;
        self.ahead -= 1;
        objects.into_iter().for_each(&mut *self.each);
        Ok(())
    }
}

fn parse(kind: ObjectKind, bodies: &[Vec<u8>]) -> Result<Vec<Object>, StoreError> {
    let object = |body: &Vec<u8>| {
        Object::from_body(kind, body).map_err(|e| StoreError::Corrupt(format!("{}: {e}", kind.table())))
    };
    bodies.iter().map(object).collect()
}

fn gone() -> StoreError {
    StoreError::Failed("the thread that reads bodies ended".to_owned())
}
