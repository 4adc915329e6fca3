//! What a machine still says whose node was removed: which blocks of addresses it has let go of. Until then the control
//! plane leases them to nobody else.

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

/// Says once what the machine has let go of: every block that no pod of its has an address of. True if the control plane
/// answers that the machine is a node all the same: it was put back to when it was one.
pub async fn let_go(context: &SessionContext, identity: &Identity) -> bool {
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
            return false;
        }
        Err(_) => return false,
    };
    let exchange = async {
        let mut socket = open(context, identity, &mut None).await.ok()?;
        let blocks = blocks.iter().map(|block| block.as_bytes().to_vec()).collect();
        socket
            .send(frame(from_agent::Message::LetGo(LetGo { blocks })))
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
    // Only a node's certificate can be said to have expired.
    matches!(answer.as_deref(), Some(KNOWN | CERTIFICATE_EXPIRED))
}
