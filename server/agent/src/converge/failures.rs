//! How often each object has failed in a row, and when to try again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portolan_plan::Object;
use portolan_shared::ids::NodeId;

use super::{Exception, RESYNC, Subject};

/// The first wait after a failure; each further one is twice as long, up to [`RESYNC`].
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// Counts how often each object has failed in a row.
#[derive(Debug, Default)]
pub(super) struct Failures {
    attempts: BTreeMap<Object, u32>,
    rounds: u32,
}

impl Failures {
    /// A round's failures, as they are reported. The host's own and what is left over are the node's. Nothing is tried of what
    /// is `left`.
    pub(super) fn next(
        &mut self,
        failed: Vec<(Object, String)>,
        left: &BTreeSet<Object>,
        own: NodeId,
    ) -> Vec<Exception> {
        self.rounds = if failed.is_empty() {
            0
        } else {
            self.rounds.saturating_add(1)
        };
        let attempts = failed
            .iter()
            .map(|(object, _)| {
                let before = self.attempts.get(object).copied().unwrap_or(0);
                let attempts = if left.contains(object) {
                    0
                } else {
                    before.saturating_add(1)
                };
                (*object, attempts)
            })
            .collect();
        let before = std::mem::replace(&mut self.attempts, attempts);
        let mut exceptions: BTreeMap<Subject, Exception> = BTreeMap::new();
        for (object, reason) in failed {
            if !before.contains_key(&object) {
                tracing::warn!(?object, reason, "the host is not as wanted");
            }
            let subject = Subject::of(object, own);
            let attempts = self.attempts.get(&object).copied().unwrap_or(0);
            exceptions.entry(subject).or_insert(Exception {
                subject,
                reason,
                attempts,
            });
        }
        exceptions.into_values().collect()
    }

    /// Whether the last round failed in something.
    pub(super) fn any(&self) -> bool {
        self.rounds > 0
    }

    /// How long to wait for the next round if nothing happens.
    pub(super) fn wait(&self) -> Duration {
        match self.rounds {
            0 => RESYNC,
            rounds => RETRY.saturating_mul(1 << (rounds - 1).min(10)).min(RESYNC),
        }
    }
}
