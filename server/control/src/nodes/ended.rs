//! How a stream ends.

use portolan_wire::DEAD_SECONDS;
use portolan_wire::agent::Refused;

use super::socket::SocketError;

/// Why a stream ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The peer is refused. It is told why, and whether to try again.
    #[error("refused: {}", .0.sentence)]
    Refused(Refused),
    /// The node has another stream.
    #[error("the node has a new stream")]
    Replaced,
    /// What the agent was sent is of another history than the store has now.
    #[error("the store was put back")]
    OtherHistory,
    /// What the agent claims could not be written. It comes back and claims again.
    #[error("the claim could not be recorded")]
    NotRecorded,
    /// The control plane ends.
    #[error("the control plane ends")]
    Closing,
    /// Nothing came for too long.
    #[error("nothing heard for {DEAD_SECONDS} s")]
    Dead,
    /// The connection.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What the machine is told whose node has opened another stream.
pub(super) fn replaced() -> Refused {
    Refused {
        code: "node.replaced".to_owned(),
        sentence:
            "Another stream of this node has begun: this one ends. If that was no agent of this machine, its disk was \
                   copied."
                .to_owned(),
        retry: true,
    }
}
