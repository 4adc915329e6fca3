//! What a machine still says whose node was removed: which blocks of addresses it has let go of, and which it has not. Until
//! then the control plane leases them to nobody else.

use futures_util::{SinkExt as _, StreamExt as _};
use portolan_wire::CERTIFICATE_EXPIRED;
use portolan_wire::agent::{LetGo, ToAgent, from_agent, to_agent::Message as In};
use prost::Message as _;
use tokio::time::{Duration, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{SessionContext, open};
use crate::identity::Identity;
use crate::stream::shared::frame;

/// How long the control plane may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The code that says that the machine is a node all the same.
const KNOWN: &str = "node.known";

/// What the control plane answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parted {
    /// The machine is no node.
    Heard,
    /// The machine is a node all the same: the control plane was put back to when it was one.
    Known,
    /// Nothing: it was not said.
    Unheard,
}

/// Says once what the machine has let go of, which is every block that no pod of its has an address of, and what it keeps.
pub async fn let_go(context: &SessionContext, identity: &Identity) -> Parted {
    let pods = std::sync::Arc::clone(&context.pods);
    let given = context
        .sources
        .workers
        .run(move || pods.give_back_blocks(usize::MAX))
        .await;
    let blocks = match given {
        Ok(Ok(blocks)) => blocks,
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot write down that blocks are given back");
            return Parted::Unheard;
        }
        Err(_) => return Parted::Unheard,
    };
    let mut kept = context.desired.borrow().leases(identity.node());
    kept.retain(|block| blocks.iter().all(|gone| gone.as_bytes()[..] != block.id[..]));
    let exchange = async {
        let mut socket = open(context, identity, &mut None).await.ok()?;
        let blocks = blocks.iter().map(|block| block.as_bytes().to_vec()).collect();
        socket
            .send(frame(from_agent::Message::LetGo(LetGo { blocks, kept })))
            .await
            .ok()?;
        loop {
            let Message::Binary(frame) = socket.next().await?.ok()? else {
                continue;
            };
            if let Some(In::Refused(refused)) = ToAgent::decode(frame).ok()?.message {
                return Some(refused.code);
            }
        }
    };
    let answer = timeout(PATIENCE, exchange).await.ok().flatten();
    match answer.as_deref() {
        // Only a node's certificate can be said to have expired.
        Some(KNOWN | CERTIFICATE_EXPIRED) => Parted::Known,
        Some(_) => Parted::Heard,
        None => Parted::Unheard,
    }
}
