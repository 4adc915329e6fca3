//! Sessions that the store could not take, since its disk is full: they live in this process alone, and not for long. Else
//! nobody could log in to see what is wrong, or to delete what fills it.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_core::model::{Micros, Session};
use portolan_core::view::View;

/// How long such a session works: an hour, in microseconds.
pub const LIFETIME: Micros = 3_600_000_000;

/// Most such sessions; the oldest makes room.
const MOST: usize = 256;

/// A session, and the password hash of its user that let it begin.
type Kept = (Arc<Session>, String);

/// The sessions of this process that no store has.
#[derive(Default)]
pub struct Unwritten(Mutex<BTreeMap<[u8; 32], Kept>>);

impl Unwritten {
    /// Keeps a session that began by this password.
    pub fn keep(&self, session: Session, password_hash: String, now: Micros) {
        let mut kept = self.0.lock();
        kept.retain(|_, (session, _)| !session.has_ended(now));
        if kept.len() >= MOST
            && let Some(oldest) = kept.values().min_by_key(|(session, _)| session.issued_at)
        {
            let oldest = oldest.0.hash;
            kept.remove(&oldest);
        }
        kept.insert(session.hash, (Arc::new(session), password_hash));
    }

    /// A session by its hash. Of a user whose password is another by now there is none.
    pub fn get(&self, view: &View, hash: &[u8; 32]) -> Option<Arc<Session>> {
        let kept = self.0.lock();
        let (session, password_hash) = kept.get(hash)?;
        let user = view.user(session.user)?;
        (user.password_hash == *password_hash).then(|| Arc::clone(session))
    }

    /// Ends a session; whether it was one of these.
    pub fn end(&self, hash: &[u8; 32]) -> bool {
        self.0.lock().remove(hash).is_some()
    }
}
