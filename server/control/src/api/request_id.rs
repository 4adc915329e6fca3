//! The id of a request.

use std::sync::Arc;

use uuid::Uuid;

/// The id of a request, in its extensions, in the answer and in the log.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

/// What the id of a request begins with.
const REQUEST: &str = "req-";

impl RequestId {
    /// The id of this UUID.
    pub fn of(uuid: Uuid) -> Self {
        Self(format!("{REQUEST}{uuid}").into())
    }

    /// The UUID in it, as the audit stores it.
    pub fn uuid(&self) -> Option<Uuid> {
        self.0.strip_prefix(REQUEST)?.parse().ok()
    }
}
