//! The runs of writers, as SQLite keeps them.

use portolan_core::history::{History, Incarnation, Span};
use portolan_core::model::Revision;
use rusqlite::{Connection, params};

/// All runs that wrote this store.
pub(super) fn read(db: &Connection) -> rusqlite::Result<History> {
    let mut read = db.prepare("SELECT first_revision, incarnation FROM incarnations")?;
    let spans = read.query_map([], |row| {
        Ok(Span {
            first: Revision::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            incarnation: Incarnation::from_bytes(row.get(1)?),
        })
    })?;
    Ok(History::new(spans.collect::<Result<_, _>>()?))
}

/// Writes down that a run begins.
pub(super) fn begin(db: &Connection, span: Span) -> rusqlite::Result<()> {
    let (first, incarnation) = (
        i64::try_from(span.first).unwrap_or(i64::MAX),
        span.incarnation.as_bytes(),
    );
    db.execute(
        "INSERT INTO incarnations (first_revision, incarnation) VALUES (?1, ?2)",
        params![first, incarnation],
    )?;
    db.execute("UPDATE head SET incarnation = ?1 WHERE one = 1", params![incarnation])?;
    Ok(())
}
