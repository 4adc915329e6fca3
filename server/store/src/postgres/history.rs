//! The runs of writers, as PostgreSQL keeps them.

use portolan_core::history::{History, Incarnation, Point, Span};
use portolan_core::model::Revision;
use tokio_postgres::{Client, Row};

use super::failed;
use crate::StoreError;

/// The head's row: its revision, and the run that began last.
pub(super) const HEAD: &str = "revision, incarnation";

/// All runs that wrote this store.
pub(super) async fn read(client: &Client) -> Result<History, StoreError> {
    let rows = client
        .query("SELECT first_revision, incarnation FROM incarnations", &[])
        .await
        .map_err(failed)?;
    let span = |row: &Row| {
        Ok(Span {
            first: Revision::try_from(row.get::<_, i64>(0)).unwrap_or(0),
            incarnation: incarnation(row.get(1))?,
        })
    };
    Ok(History::new(rows.iter().map(span).collect::<Result<_, StoreError>>()?))
}

fn incarnation(bytes: Option<Vec<u8>>) -> Result<Incarnation, StoreError> {
    let Some(bytes) = bytes else {
        return Ok(Incarnation::default());
    };
    let bytes = bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt("an incarnation".to_owned()))?;
    Ok(Incarnation::from_bytes(bytes))
}

/// The revision of the head's row, once `history` is that of the store. What was read up to `known` must be of it.
pub(super) async fn follow(
    client: &Client,
    head: &Row,
    known: Revision,
    history: &mut History,
) -> Result<Revision, StoreError> {
    let revision = Revision::try_from(head.get::<_, i64>(0)).unwrap_or(0);
    if incarnation(head.get(1))? == history.newest() && revision >= known {
        return Ok(revision);
    }
    let now = read(client).await?;
    let incarnation = history.at(known);
    let known_point = Point {
        incarnation,
        revision: known,
    };
    if !now.holds(known_point, revision) {
        return Err(StoreError::OtherHistory(known));
    }
    *history = now;
    Ok(revision)
}

/// Writes down that a run begins.
pub(super) async fn begin(client: &Client, span: Span) -> Result<(), tokio_postgres::Error> {
    let incarnation = &span.incarnation.as_bytes()[..];
    client
        .execute(
            "INSERT INTO incarnations (first_revision, incarnation) VALUES ($1, $2)",
            &[&i64::try_from(span.first).unwrap_or(i64::MAX), &incarnation],
        )
        .await?;
    client
        .execute("UPDATE head SET incarnation = $1 WHERE one = 1", &[&incarnation])
        .await?;
    Ok(())
}
