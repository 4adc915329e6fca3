//! The control plane's core in one handle: write through the writer, read from the view, follow the feed.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use parking_lot::{Mutex, RwLock};
use portolan_core::command::{Outcome, Request};
use portolan_core::model::{Micros, Session};
use portolan_core::quotas::Quotas;
use portolan_core::view::View;
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_sources::{Clock, Ids, Random, Stopwatch};
use portolan_store::{Audit, AuditAsked, AuditPage, PostgresStore, SqliteOptions, SqliteStore, Store, StoreError};
use uuid::Uuid;

use crate::feed::Feed;
use crate::identity::unwritten::Unwritten;
use crate::issuing::{Issuing, Verdict};
use crate::machine::Sources;
use crate::writer::{self, Health, Queue, Retention, Run, Writer, WriterLoop};

/// How to open a control plane.
#[derive(Clone)]
pub struct OpenOptions {
    /// `sqlite:PATH` or `postgres://…`.
    pub database: String,
    /// What it runs on.
    pub sources: Sources,
    /// How much a project may have.
    pub quotas: Quotas,
    /// Most commands decided in one transaction.
    pub batch: usize,
    /// Most changes kept in memory for feeds.
    pub ring: usize,
    /// Most changes read back into the feed when opening.
    pub recent: usize,
    /// What the change table keeps.
    pub retention: Retention,
}

impl OpenOptions {
    /// This database on this machine, and defaults for the rest.
    pub fn new(database: impl Into<String>, sources: Sources) -> Self {
        Self {
            database: database.into(),
            sources,
            quotas: Quotas::default(),
            batch: 1024,
            ring: 131_072,
            recent: 8_192,
            retention: Retention::default(),
        }
    }
}

/// Why a control plane does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither `sqlite:` nor `postgres:`.
    #[error("'{0}' is no database: say sqlite:PATH or postgres://USER@HOST/NAME")]
    NotADatabase(String),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system has no thread for the writer.
    #[error("the writer's thread did not start: {0}")]
    Thread(String),
}

/// The handle; clones share everything.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

struct Shared {
    view: Arc<RwLock<View>>,
    feed: Arc<Feed>,
    queue: Arc<Queue>,
    ids: Ids,
    clock: Arc<dyn Clock>,
    stopwatch: Arc<dyn Stopwatch>,
    random: Arc<dyn Random>,
    issuing: Mutex<Issuing>,
    store_id: [u8; 16],
    quotas: Quotas,
    /// Reads the audit; one at a time.
    audit: Mutex<Box<dyn Audit>>,
    /// Whether other processes write to the store.
    replicated: bool,
    histories: Arc<AtomicU64>,
    run: Arc<AtomicU16>,
    health: Arc<Health>,
    unwritten: Unwritten,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The writer ends after what it has taken. This was the last handle, so nobody waits for it.
        drop(self.queue.close());
    }
}

impl Control {
    /// Opens the store (made if it is new), loads the view and starts the writer. Blocks until then.
    ///
    /// # Errors
    /// If the store cannot be opened, read, or belongs to another process.
    pub fn open(options: OpenOptions) -> Result<Self, OpenError> {
        let mut store_id = [0; 16];
        options.sources.random.fill(&mut store_id);
        let (database, sources) = (options.database.clone(), options.sources.clone());
        Self::over(move || open_store(&database, store_id, &sources), options)
    }

    /// The same over any store; it is opened on the writer's thread, which owns it.
    ///
    /// # Errors
    /// If the store cannot be opened or read.
    pub fn over(
        open: impl FnOnce() -> Result<Box<dyn Store>, OpenError> + Send + 'static,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let (ready, opened) = mpsc::sync_channel(1);
        let threads = Arc::clone(&options.sources.threads);
        let run = move || match open().and_then(|store| Self::without_thread(store, options)) {
            Ok((control, writer)) => {
                let _ = ready.send(Ok(control));
                writer.run();
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        };
        let started = threads.start("writer", Box::new(run));
        started.map_err(|e| OpenError::Thread(e.to_string()))?;
        opened.recv().map_err(|e| OpenError::Thread(e.to_string()))?
    }

    /// The same without a thread: nothing is written until the caller runs the writer.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn without_thread(mut store: Box<dyn Store>, options: OpenOptions) -> Result<(Self, WriterLoop), OpenError> {
        let Sources {
            clock,
            stopwatch,
            random,
            ..
        } = options.sources;
        let ids = Ids::new(Arc::clone(&clock), Arc::clone(&random));
        let (view, pools, store_id) = writer::load(&mut *store)?;
        let recent = store.recent(view.head(), options.recent)?;
        let floor = recent.first().map_or(view.head(), |commit| commit.revision - 1);
        let feed = Arc::new(Feed::new(floor, options.ring));
        feed.publish(&recent.into_iter().map(Arc::new).collect::<Vec<_>>());
        let view = Arc::new(RwLock::new(view));
        let queue = Arc::new(Queue::new(options.batch));
        let histories = Arc::new(AtomicU64::new(0));
        let (health, run) = (Arc::new(Health::default()), Arc::new(AtomicU16::new(0)));
        let shared = Shared {
            view: Arc::clone(&view),
            feed: Arc::clone(&feed),
            queue: Arc::clone(&queue),
            ids: ids.clone(),
            clock: Arc::clone(&clock),
            stopwatch,
            random: Arc::clone(&random),
            issuing: Mutex::default(),
            store_id,
            quotas: options.quotas,
            audit: Mutex::new(store.audit()),
            replicated: store.shared(),
            histories: Arc::clone(&histories),
            run: Arc::clone(&run),
            health: Arc::clone(&health),
            unwritten: Unwritten::default(),
        };
        let writer = Writer {
            store,
            view,
            feed,
            ids,
            cleaned_at: clock.now(),
            reloaded_at: None,
            run: Run::new(random, run),
            histories,
            clock,
            quotas: options.quotas,
            retention: options.retention,
            health,
            pools,
        };
        let control = Self {
            shared: Arc::new(shared),
        };
        Ok((control, WriterLoop::new(writer, queue)))
    }

    /// Asks the writer. Once it answers, the write is durable. Dropping this before the answer is safe; the write may
    /// still happen.
    ///
    /// # Errors
    /// Why it is refused; nothing was changed then, unless it is [`Refusal::StoreUnknown`].
    pub async fn write(&self, request: Request) -> Result<Outcome, Refusal> {
        match self.shared.queue.write(request)?.await {
            Ok(answer) => answer,
            Err(_) => Err(Refusal::StoreUnknown {
                reason: "the writer has ended".to_owned(),
            }),
        }
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
        if !self.shared.replicated {
            return Ok(());
        }
        match self.shared.queue.current()?.await {
            Ok(reached) => reached,
            Err(_) => Err(Refusal::StoreUnavailable {
                reason: "the writer has ended".to_owned(),
            }),
        }
    }

    /// A session or token by the hash of its secret.
    pub fn session(&self, view: &View, hash: &[u8; 32]) -> Option<Arc<Session>> {
        let stored = view.session(hash).cloned();
        stored.or_else(|| self.shared.unwritten.get(view, hash))
    }

    /// Sessions that the store could not take.
    pub fn unwritten(&self) -> &Unwritten {
        &self.shared.unwritten
    }

    /// How much a project may have.
    pub fn quotas(&self) -> Quotas {
        self.shared.quotas
    }

    /// Reads the audit from the store, off the writer's thread; blocks meanwhile.
    ///
    /// # Errors
    /// If the store fails.
    pub fn audit(&self, asked: &AuditAsked) -> Result<AuditPage, Refusal> {
        self.shared.audit.lock().page(asked).map_err(|error| {
            tracing::error!(%error, "the audit could not be read");
            Refusal::StoreUnavailable {
                reason: error.to_string(),
            }
        })
    }

    /// Commits, to follow.
    pub fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    /// The time.
    pub fn now(&self) -> Micros {
        self.shared.clock.now()
    }

    /// The time, where something is issued that ends by it.
    ///
    /// # Errors
    /// While the clock is behind what was written.
    pub fn time_to_issue(&self) -> Result<Micros, Refusal> {
        let (now, latest) = (self.now(), self.feed().latest());
        let elapsed = self.shared.stopwatch.elapsed();
        match self.shared.issuing.lock().look(now, latest, elapsed) {
            Verdict::Issue => Ok(now),
            Verdict::Wait => Err(Refusal::ClockBehind {
                now: Time(now),
                newest: Time(latest),
            }),
            Verdict::CommitWasWrong => {
                tracing::warn!(
                    now = %Time(now),
                    newest = %Time(latest),
                    "the clock was ahead when the latest commit was made; certificates and tokens are issued again"
                );
                self.feed().correct_latest(now);
                Ok(now)
            }
        }
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

    /// Completes once the writer has ended, closed or failed: from then on nothing can be written.
    pub async fn ended(&self) {
        self.shared.queue.ended().await;
    }

    /// How often another history has taken the store's place since the start. Asked within [`Self::read`], it is that of
    /// the view.
    pub fn histories(&self) -> u64 {
        self.shared.histories.load(Ordering::Relaxed)
    }

    /// The tag of the writer's run: see [`portolan_core::history::Incarnation::tag`].
    pub fn run(&self) -> u16 {
        self.shared.run.load(Ordering::Relaxed)
    }

    /// Whether other processes may serve the same store.
    pub fn replicated(&self) -> bool {
        self.shared.replicated
    }

    /// Why nothing can be written now; `None` if it can, as far as is known. Of a store that fails it is found out by itself,
    /// within a second or so, when it takes something again.
    pub fn why_not_ready(&self) -> Option<Refusal> {
        if self.lives() {
            return self.shared.health.why_not();
        }
        Some(Refusal::StoreUnavailable {
            reason: "the writer has ended".to_owned(),
        })
    }

    /// Whether the writer is there.
    pub fn lives(&self) -> bool {
        self.shared.queue.lives()
    }

    /// Ends feeds and the writer, after what it has taken is committed, and closes the store.
    pub async fn close(&self) {
        // An error means that the writer has ended, which is what this waits for.
        let _ = self.shared.queue.close().await;
    }
}

fn open_store(database: &str, store_id: [u8; 16], sources: &Sources) -> Result<Box<dyn Store>, OpenError> {
    let threads = Arc::clone(&sources.threads);
    if let Some(path) = database.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        let options = SqliteOptions::new(path, store_id, Arc::clone(&sources.files), threads);
        return Ok(Box::new(SqliteStore::open(options)?));
    }
    if database.starts_with("postgres://") || database.starts_with("postgresql://") {
        return Ok(Box::new(PostgresStore::open(database, store_id, threads)?));
    }
    Err(OpenError::NotADatabase(database.to_owned()))
}
