//! Reading the audit out of the change table, newest first: the one read that touches the database.
//!
//! It has a connection of its own, off the writer's thread, and reads by the partial indexes over
//! audited rows alone. What an engine answers is rows; the pages are made of them here.

use portolan_core::audience::Audience;
use portolan_core::command::{Actor, Via};
use portolan_core::model::Value;
use portolan_core::model::{Micros, Object, ObjectKind, Revision};
use portolan_shared::ids::ProjectId;
use portolan_shared::v1::{AuditOp, Through};

use super::rows::{self, position, revision_at};
use super::{StoreError, upgrade};

/// Most objects of an entry that are read.
pub const OBJECTS: usize = 100;
/// Rows looked through at once when most of them may not fit.
const CHUNK: usize = 1_000;
/// Rows looked through for one page; what is found until then is the page.
const SCAN: usize = 50_000;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose objects; `None`: everybody's.
    pub project: Option<ProjectId>,
    /// Who reads.
    pub audience: Audience,
    /// An object's key, as the store has it.
    pub object: Option<Vec<u8>>,
    /// Of this kind.
    pub kind: Option<ObjectKind>,
    /// Of this operation.
    pub op: Option<AuditOp>,
    /// By this one.
    pub actor: Option<Actor>,
    /// By the provider's people, or not.
    pub by_provider: Option<bool>,
    /// Through this.
    pub through: Option<Through>,
    /// Before this revision.
    pub before: Option<Revision>,
    /// Most entries.
    pub limit: usize,
}

/// What is found, newest first.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// One a commit.
    pub entries: Vec<Entry>,
    /// Where to go on.
    pub next: Option<Revision>,
}

/// A commit as far as it is audited and the reader may know it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number.
    pub revision: Revision,
    /// When it was decided.
    pub at: Micros,
    /// Who asked.
    pub actor: Actor,
    /// Whether that is the provider's.
    pub by_provider: bool,
    /// How the command that made it came in.
    pub via: Via,
    /// What changed; the object that was asked for first.
    pub changes: Vec<Changed>,
    /// How many more there are.
    pub more: u64,
}

/// A change of an object.
#[derive(Debug, Clone)]
pub struct Changed {
    /// What happened.
    pub op: AuditOp,
    /// The project the object is in; `None`: it is in none.
    pub project: Option<ProjectId>,
    /// How it is since; for a delete, how it was.
    pub object: Object,
    /// How it was before an update, if that is still known.
    pub before: Option<Object>,
}

/// Reads the audit.
pub trait Audit: Send {
    /// The newest entries that fit.
    ///
    /// # Errors
    /// If the store fails or a row cannot be read.
    fn page(&mut self, asked: &Asked) -> Result<Page, StoreError>;
}

/// Of a store that keeps none.
pub(super) struct NoAudit;

impl Audit for NoAudit {
    fn page(&mut self, _: &Asked) -> Result<Page, StoreError> {
        Err(StoreError::Failed("this store keeps no history".to_owned()))
    }
}

/// What of a row says whether it fits.
pub(super) struct Head {
    pub(super) position: i64,
    pub(super) kind: String,
    pub(super) project: Option<Vec<u8>>,
    pub(super) op: i64,
    pub(super) made: i64,
    pub(super) actor: Vec<u8>,
    pub(super) through: i64,
    pub(super) by_provider: i64,
}

/// A row as read.
pub(super) struct AuditRow {
    pub(super) head: Head,
    pub(super) at: i64,
    pub(super) request: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
    pub(super) body_version: i64,
    pub(super) before: Option<Vec<u8>>,
    pub(super) before_version: Option<i64>,
}

/// Columns of a [`Head`], in order.
const HEAD: &str = "c.position, c.kind, c.project, c.op, c.made, c.actor, c.through, c.by_provider";

/// What an engine does.
pub(super) trait Engine {
    /// Marks a parameter: `?` or `$`.
    const MARK: char;

    /// The change table read by this index: SQLite has to be told.
    fn by_index(index: &str, alias: &str) -> String;

    fn heads(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Head>, StoreError>;
    fn rows(&mut self, sql: &str, params: &[Value]) -> Result<Vec<AuditRow>, StoreError>;
    fn count(&mut self, sql: &str, params: &[Value]) -> Result<i64, StoreError>;
}

/// Conditions with their parameters.
struct Where<E> {
    sql: String,
    params: Vec<Value>,
    engine: std::marker::PhantomData<E>,
}

impl<E: Engine> Where<E> {
    /// Audited rows that this audience may learn of.
    fn new(audience: Audience) -> Self {
        let mut new = Self {
            sql: "c.audited > 0".to_owned(),
            params: Vec::new(),
            engine: std::marker::PhantomData,
        };
        new.and("c.audited <=", Value::Int(rows::level(audience)));
        new
    }

    fn mark(&mut self, value: Value) -> String {
        self.params.push(value);
        format!("{}{}", E::MARK, self.params.len())
    }

    fn and(&mut self, condition: &str, value: Value) {
        let mark = self.mark(value);
        self.sql = format!("{} AND {condition} {mark}", self.sql);
    }

    fn project(&mut self, project: Option<ProjectId>) {
        if let Some(id) = project {
            self.and("c.project =", Value::Bytes(id.as_bytes().to_vec()));
        }
    }
}

/// A page, by an engine's rows.
pub(super) fn page<E: Engine>(engine: &mut E, asked: &Asked) -> Result<Page, StoreError> {
    let (mut revisions, next) = revisions(engine, asked)?;
    revisions.truncate(asked.limit);
    let entries = revisions
        .into_iter()
        .map(|revision| entry(engine, asked, revision))
        .collect::<Result<_, _>>()?;
    Ok(Page { entries, next })
}

/// Commits with a row that fits, newest first, and where to go on.
fn revisions<E: Engine>(engine: &mut E, asked: &Asked) -> Result<(Vec<Revision>, Option<Revision>), StoreError> {
    let narrow = asked.kind.is_some()
        || asked.op.is_some()
        || asked.actor.is_some()
        || asked.by_provider.is_some()
        || asked.through.is_some();
    let chunk = if narrow { CHUNK } else { 2 * (asked.limit + 1) };
    let (mut found, mut scanned) = (Vec::new(), 0);
    let mut below = asked.before.map_or(i64::MAX, position);
    let mut last: Option<Revision> = None;
    loop {
        let heads = heads(engine, asked, below, chunk)?;
        let full = heads.len() == chunk;
        for head in heads {
            let revision = revision_at(head.position);
            if let Some(before) = last.filter(|before| *before != revision)
                && scanned >= SCAN
            {
                return Ok((found, Some(before)));
            }
            (last, below) = (Some(revision), head.position);
            scanned += 1;
            if found.last() != Some(&revision) && fits(asked, &head)? {
                if found.len() == asked.limit {
                    let next = found.last().copied();
                    return Ok((found, next));
                }
                found.push(revision);
            }
        }
        if !full {
            return Ok((found, None));
        }
        // The rest of a commit that has been found says nothing new.
        if let Some(revision) = last.filter(|revision| found.last() == Some(revision)) {
            below = position(revision);
        }
    }
}

fn heads<E: Engine>(engine: &mut E, asked: &Asked, below: i64, limit: usize) -> Result<Vec<Head>, StoreError> {
    let mut wanted = Where::<E>::new(asked.audience);
    let from = match (&asked.object, asked.project) {
        (Some(id), _) => {
            wanted.and("c.id =", Value::Bytes(id.clone()));
            E::by_index("changes_object", "c")
        }
        (None, Some(_)) => {
            wanted.project(asked.project);
            E::by_index("changes_project", "c")
        }
        // In the order of the primary key: an index of its own would cost every write.
        (None, None) => "changes AS c".to_owned(),
    };
    wanted.and("c.position <", Value::Int(below));
    let limit = wanted.mark(Value::Int(limit as i64));
    let sql = format!(
        "SELECT {HEAD} FROM {from} WHERE {} ORDER BY c.position DESC LIMIT {limit}",
        wanted.sql
    );
    engine.heads(&sql, &wanted.params)
}

fn fits(asked: &Asked, head: &Head) -> Result<bool, StoreError> {
    let project = asked
        .project
        .is_none_or(|id| head.project.as_deref() == Some(id.as_bytes()));
    let kind = asked.kind.is_none_or(|kind| head.kind == kind.table());
    let op = asked.op.is_none_or(|op| op_of(head) == op);
    let actor = match asked.actor {
        None => true,
        Some(actor) => rows::actor_of(&head.actor)? == actor,
    };
    let through = asked
        .through
        .is_none_or(|through| rows::through_of(head.through) == through);
    let provider = asked.by_provider.is_none_or(|wanted| wanted == (head.by_provider != 0));
    Ok(project && kind && op && actor && through && provider)
}

fn op_of(head: &Head) -> AuditOp {
    match (head.op, head.made) {
        (1, _) => AuditOp::Delete,
        (_, 0) => AuditOp::Update,
        _ => AuditOp::Create,
    }
}

fn entry<E: Engine>(engine: &mut E, asked: &Asked, revision: Revision) -> Result<Entry, StoreError> {
    let mut wanted = Where::<E>::new(asked.audience);
    wanted.and("c.position >=", Value::Int(position(revision)));
    wanted.and("c.position <", Value::Int(position(revision + 1)));
    if asked.audience == Audience::Everyone {
        wanted.project(asked.project);
    }
    let (condition, counted) = (wanted.sql.clone(), wanted.params.clone());
    let order = match &asked.object {
        None => "c.position".to_owned(),
        Some(id) => {
            let id = wanted.mark(Value::Bytes(id.clone()));
            format!("CASE WHEN c.id = {id} THEN 0 ELSE 1 END, c.position")
        }
    };
    let before = |column: &str| {
        let from = E::by_index("changes_object", "b");
        format!(
            "CASE WHEN c.op = 0 AND c.made = 0 THEN \
             (SELECT b.{column} FROM {from} WHERE b.id = c.id AND b.kind = c.kind AND b.audited > 0 \
             AND b.position < c.position ORDER BY b.position DESC LIMIT 1) END"
        )
    };
    let sql = format!(
        "SELECT {HEAD}, c.at, c.request, c.body, c.body_version, {}, {} \
         FROM changes c WHERE {condition} ORDER BY {order} LIMIT {OBJECTS}",
        before("body"),
        before("body_version")
    );
    let rows = engine.rows(&sql, &wanted.params)?;
    let total = if rows.len() < OBJECTS {
        rows.len() as i64
    } else {
        engine.count(&format!("SELECT count(*) FROM changes c WHERE {condition}"), &counted)?
    };
    let more = u64::try_from(total).unwrap_or(0).saturating_sub(rows.len() as u64);
    let first = rows
        .first()
        .ok_or_else(|| StoreError::Failed(format!("revision {revision} is gone meanwhile")))?;
    Ok(Entry {
        revision,
        at: first.at,
        actor: rows::actor_of(&first.head.actor)?,
        by_provider: first.head.by_provider != 0,
        via: Via {
            through: rows::through_of(first.head.through),
            request: first.request.as_deref().and_then(rows::uuid_of),
        },
        changes: rows.iter().map(changed).collect::<Result<_, _>>()?,
        more,
    })
}

fn changed(row: &AuditRow) -> Result<Changed, StoreError> {
    let kind = &row.head.kind;
    let kind = ObjectKind::of_table(kind).ok_or_else(|| StoreError::Corrupt(format!("kind {kind}")))?;
    let before = row.before.as_deref().zip(row.before_version);
    let project = row.head.project.as_deref().and_then(|id| <[u8; 16]>::try_from(id).ok());
    Ok(Changed {
        op: op_of(&row.head),
        project: project.map(ProjectId::from_bytes),
        object: upgrade::object(kind, row.body_version, &row.body)?,
        before: before
            .map(|(body, version)| upgrade::object(kind, version, body))
            .transpose()?,
    })
}
