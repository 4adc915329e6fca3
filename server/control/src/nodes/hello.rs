//! How a stream begins: who says hello, and what an agent needs that has what it says.

use portolan_core::history::{Incarnation, Point, Span};
use portolan_core::model::{Revision, Tickets};
use portolan_core::protocol::resume::{self, Resume};
use portolan_core::protocol::standing::Standing;
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_wire::agent::{FromAgent, Hello, Refused, from_agent::Message as In};
use portolan_wire::digest::Digest;
use portolan_wire::field::{self, BadField};
use portolan_wire::{CERTIFICATE_EXPIRED, OLDEST_PROTOCOL};
use prost::Message as _;

use super::ended::Ended;
use super::hub::Hub;
use super::join::{malformed, refused, too_old};
use super::pki::Identity;
use super::reports_in;
use super::socket::Socket;
use super::state::Dialect;

/// The hello, and the ticket that its sender is given: whether it is a node, and the one machine that is it.
pub(super) async fn greet(hub: &Hub, socket: &mut Socket, identity: &Identity) -> Result<(Hello, Tickets), Ended> {
    let first = socket.first().await?;
    let hello = match FromAgent::decode(first) {
        Ok(FromAgent {
            message: Some(In::Hello(hello)),
        }) => hello,
        Ok(FromAgent {
            message: Some(In::LetGo(let_go)),
        }) => {
            hub.control.current().await.map_err(|refusal| refused(&refusal))?;
            // What a machine lets go of that is no node any more counts whatever its certificate.
            if is_node(hub, identity) && !identity.is_valid(hub.control.now()) {
                return Err(expired(identity).into());
            }
            let blocks = reports_in::blocks(&let_go).map_err(|error| malformed(&error.to_string()))?;
            // A node claims what it has with its hello.
            let kept = match is_node(hub, identity) {
                true => Vec::new(),
                false => reports_in::kept(hub, identity, let_go.kept),
            };
            reports_in::let_go(hub, identity, blocks, kept)
                .await
                .map_err(|refusal| refused(&refusal))?;
            let known = is_node(hub, identity);
            return Err(if known { known_again() } else { parted(hub, identity) }.into());
        }
        _ => return Err(malformed("the first frame of a stream is a Hello").into()),
    };
    if hello.protocol < OLDEST_PROTOCOL {
        return Err(too_old(hello.protocol).into());
    }
    // TLS does not look at the time.
    if !identity.is_valid(hub.control.now()) {
        return Err(expired(identity).into());
    }
    hub.control.current().await.map_err(|refusal| refused(&refusal))?;
    if !is_node(hub, identity) {
        return Err(parted(hub, identity).into());
    }
    let ticket = ticket(hub, identity, &hello)?;
    Ok((hello, ticket))
}

/// The next ticket of a machine that shows its newest one. Version 1 knows none.
fn ticket(hub: &Hub, identity: &Identity, hello: &Hello) -> Result<Tickets, Refused> {
    if Dialect::of(hello.protocol) == Dialect::Older {
        return Ok(Tickets::default());
    }
    let shown = match &hello.ticket {
        None => 0,
        Some(ticket) => {
            let machine = &identity.key_hash;
            if !hub.seal.gave(machine, ticket.number, &ticket.proof) {
                return Err(malformed("the ticket is not one that this control plane gives"));
            }
            ticket.number
        }
    };
    hub.next_ticket(identity.node, identity.key_hash, shown)
        .ok_or_else(|| Refused {
            code: "node.copied".to_owned(),
            sentence:
                "Another machine has shown a newer ticket of this node: this one is a copy of it, or was put back to \
                   an older state. `portolan-agent rejoin` and a join token make it a node of its own; its pods run on."
                    .to_owned(),
            retry: true,
        })
}

/// Whether there is such a node and the certificate's key is its key.
pub(super) fn is_node(hub: &Hub, identity: &Identity) -> bool {
    standing(hub, identity) == Standing::Node
}

fn standing(hub: &Hub, identity: &Identity) -> Standing {
    let Identity {
        cluster,
        node,
        key_hash,
        ..
    } = *identity;
    hub.control.read(|view| Standing::of(view, cluster, node, key_hash))
}

/// What a machine is told that is not the node its certificate names. It is removed only if that was written down: a
/// store that was put back knows less than its nodes, and the next one may know them again.
pub(super) fn parted(hub: &Hub, identity: &Identity) -> Refused {
    let standing = standing(hub, identity);
    if standing == Standing::Removed {
        return refused(&Refusal::NodeRemoved {});
    }
    let (code, sentence) = if standing == Standing::Waits {
        (
            "node.waits",
            "This node was found again after the control plane was put back to an older state. It waits for an \
             administrator to admit or remove it. Its pods run on.",
        )
    } else {
        (
            "node.unknown",
            "The control plane does not know this node. If it was put back to an older state, the node is found again \
             once another node of its cluster has shown its lease; else join it again.",
        )
    };
    Refused {
        code: code.to_owned(),
        sentence: sentence.to_owned(),
        retry: true,
    }
}

/// What a machine is told that believes that its node was removed, where it was not: the store was put back to before.
fn known_again() -> Refused {
    Refused {
        code: "node.known".to_owned(),
        sentence: "This machine is a node. Say hello.".to_owned(),
        retry: true,
    }
}

/// The certificate is not valid now.
pub(super) fn expired(identity: &Identity) -> Refused {
    let (from, to) = (Time(identity.not_before), Time(identity.not_after));
    Refused {
        code: CERTIFICATE_EXPIRED.to_owned(),
        sentence: format!(
            "The certificate of this node is valid from {from} to {to} only. For 90 days after its end the agent renews it by \
             itself; one that does not needs a new join token."
        ),
        retry: false,
    }
}

/// What an agent has, as its hello says.
#[derive(Debug, Clone)]
pub(super) struct Has {
    pub(super) dialect: Dialect,
    /// Whether it is of this store.
    of_this_store: bool,
    pub(super) point: Point,
    /// Whether the control plane has told that point.
    told: bool,
    digest: Vec<u8>,
    /// The runs that it knows.
    pub(super) spans: Vec<Span>,
}

impl Has {
    /// Reads it.
    pub(super) fn of(hub: &Hub, hello: &Hello) -> Result<Self, BadField> {
        let store = hub.control.store_id();
        let dialect = Dialect::of(hello.protocol);
        let mut has = Self {
            dialect,
            of_this_store: hello.store_id == store,
            point: Point {
                incarnation: Incarnation::default(),
                revision: hello.desired_revision,
            },
            told: false,
            digest: match dialect {
                Dialect::Older => hello.desired_digest.clone(),
                Dialect::Newest => hello.digest.clone(),
            },
            spans: Vec::new(),
        };
        if let Some(position) = &hello.position {
            has.point = Point {
                incarnation: Incarnation::from_bytes(field::id("incarnation", &position.incarnation)?),
                revision: position.revision,
            };
            has.told = hub.seal.told(&store, has.point, &position.mark);
        }
        let span = |span: &portolan_wire::agent::Span| {
            Ok(Span {
                incarnation: Incarnation::from_bytes(field::id("incarnation", &span.incarnation)?),
                first: span.first,
            })
        };
        let spans = hello.history.iter().take(portolan_wire::SPANS);
        has.spans = spans.map(span).collect::<Result<_, BadField>>()?;
        Ok(has)
    }

    /// Whether it has nothing of this store to go on from.
    pub(super) fn is_nothing(&self) -> bool {
        !self.of_this_store || self.point.revision == 0
    }

    /// What it needs. `held` says whether the history of now has its point, `digest` is of its cluster's state, and
    /// `changed` is the commit that last changed that state.
    pub(super) fn needs(&self, held: bool, digest: &Digest, changed: Revision) -> Resume {
        let has = resume::Has {
            older: self.dialect == Dialect::Older,
            nothing: self.is_nothing(),
            revision: self.point.revision,
            told: self.told,
        };
        resume::resume(has, held, self.digest == digest, changed)
    }
}
