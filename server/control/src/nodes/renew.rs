//! A node gets another certificate in the place of the one it has: on its stream, or, once that is not valid any more, by
//! a call of its own.

use portolan_core::model::Micros;
use portolan_shared::time::Time;
use portolan_wire::agent::{Refused, RenewReply, RenewRequest, Renewed, renew_reply::Outcome as Reply};
use prost::Message as _;

use super::hello::{is_node, parted};
use super::hub::Hub;
use super::join::{malformed, refused};
use super::pki::{self, Identity, RENEWABLE, Requested};
use super::socket::{Socket, SocketError};

/// Answers one request, and closes.
pub(super) async fn run(hub: &Hub, mut socket: Socket, mut identity: Identity) -> Result<(), SocketError> {
    let frame = socket.first().await?;
    let renewed = match RenewRequest::decode(frame) {
        Ok(request) => call(hub, &mut identity, &request.csr).await,
        Err(_) => Err(malformed("the frame is no RenewRequest")),
    };
    let reply = match renewed {
        Ok(certificate) => Reply::Renewed(Renewed { certificate }),
        Err(refused) => {
            let (node, code) = (identity.node, &refused.code);
            tracing::warn!(%node, code, "refused a node another certificate");
            Reply::Refused(refused)
        }
    };
    let reply = RenewReply { outcome: Some(reply) };
    socket.close(Some(reply.encode_to_vec().into())).await;
    Ok(())
}

async fn call(hub: &Hub, identity: &mut Identity, csr: &[u8]) -> Result<Vec<u8>, Refused> {
    hub.control.current().await.map_err(|refusal| refused(&refusal))?;
    if !is_node(hub, identity) {
        return Err(parted(hub, identity));
    }
    renewed(hub, identity, csr)
}

/// A new certificate for the key that a node has, and who it then is; another key needs another join. The node's row was
/// looked at.
pub(super) fn renewed(hub: &Hub, identity: &mut Identity, csr: &[u8]) -> Result<Vec<u8>, Refused> {
    let requested = Requested::parse(csr).map_err(|error| malformed(&error.to_string()))?;
    if requested.key_hash() != identity.key_hash {
        return Err(malformed("a certificate is renewed for the key it has"));
    }
    let now = hub.control.time_to_issue().map_err(|refusal| refused(&refusal))?;
    if now >= identity.not_after + RENEWABLE {
        return Err(too_old(hub, identity, identity.not_after));
    }
    let Identity {
        node, cluster, role, ..
    } = *identity;
    let certificate = hub.ca.sign_agent(&requested, node, cluster, role, now);
    let certificate = certificate.map_err(|error| malformed(&error.to_string()))?;
    if let Some(renewed) = pki::identity(&certificate) {
        *identity = renewed;
    }
    tracing::info!(%node, "renewed a node's certificate");
    Ok(certificate.to_vec())
}

/// The certificate ended too long ago.
fn too_old(hub: &Hub, identity: &Identity, ended: Micros) -> Refused {
    let name = hub
        .control
        .read(|view| view.node(identity.node).map(|node| node.name.clone()))
        .unwrap_or_default();
    Refused {
        code: "certificate.too_old".to_owned(),
        sentence: format!(
            "The certificate of node {name} ended at {}, more than 90 days ago, and is not renewed any more. Make a new \
             join token for {name} and give it to the agent (--join-token-file): it is the same node then, and its pods run \
             on.",
            Time(ended)
        ),
        retry: true,
    }
}
