//! Forgetting old changes.

use rusqlite::{OptionalExtension, params};

use super::{SqliteStore, failed};
use crate::rows::{self, Cut};
use crate::{StoreError, Trim};

impl SqliteStore {
    /// Moves the feed's floor, and leaves of what is before it the audited rows.
    pub(super) fn move_floor(&mut self, trim: &Trim) -> Result<u64, StoreError> {
        let rows: i64 = self
            .connection
            .prepare_cached("SELECT change_rows FROM head WHERE one = 1")
            .and_then(|mut s| s.query_row([], |row| row.get(0)))
            .map_err(failed)?;
        let floor = self.floor()?;
        let mut find = self
            .connection
            .prepare_cached("SELECT position, at FROM changes WHERE position >= ?1 ORDER BY position LIMIT 1 OFFSET ?2")
            .map_err(failed)?;
        let mut found = None;
        for reach in rows::reaches(u64::try_from(rows).unwrap_or(0), trim) {
            let last: Option<(i64, i64)> = find
                .query_row([rows::position(floor + 1), reach - 1], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
                .map_err(failed)?;
            found = last
                .filter(|(_, at)| *at < trim.before)
                .and_then(|(position, _)| Cut::of(position, floor));
            if found.is_some() {
                break;
            }
        }
        drop(find);
        let Some(cut) = found else { return Ok(0) };
        let write = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed)?;
        let gone: i64 = write
            .query_row(
                "SELECT count(*) FROM changes WHERE position >= ?1 AND position < ?2",
                [cut.from, cut.to],
                |row| row.get(0),
            )
            .map_err(failed)?;
        write
            .execute(
                "DELETE FROM changes WHERE position >= ?1 AND position < ?2 AND audited = 0",
                [cut.from, cut.to],
            )
            .map_err(failed)?;
        write
            .execute(
                "UPDATE head SET change_rows = change_rows - ?1, floor = ?2 WHERE one = 1",
                params![gone, i64::try_from(cut.floor).unwrap_or(i64::MAX)],
            )
            .map_err(failed)?;
        write.commit().map_err(failed)?;
        self.after_commit();
        Ok(gone as u64)
    }

    /// Forgets the oldest audited rows behind the floor.
    pub(super) fn forget(&mut self, trim: &Trim) -> Result<u64, StoreError> {
        let floor = rows::position(self.floor()? + 1);
        let oldest = self
            .connection
            .prepare_cached("SELECT position, at FROM changes WHERE position < ?1 ORDER BY position LIMIT ?2")
            .and_then(|mut s| {
                s.query_map(params![floor, trim.step as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<Vec<_>, _>>()
            })
            .map_err(failed)?;
        let Some((end, count)) = rows::outdated(&oldest, trim.audit_before) else {
            return Ok(0);
        };
        self.connection
            .execute("DELETE FROM changes WHERE position < ?1", [end])
            .map_err(failed)?;
        self.after_commit();
        Ok(count)
    }
}
