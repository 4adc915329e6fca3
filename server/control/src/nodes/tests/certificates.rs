//! Certificates and time: what one opens that is not valid any more, and by which clock.

use portolan_core::command::{Command, Delete};
use portolan_wire::CERTIFICATE_EXPIRED;
use portolan_wire::agent::{Refused, RenewRequest, from_agent::Message as Out, to_agent::Message as In};
use rustls::pki_types::CertificateDer;

use super::client::{Agent, Host, Stream, hello};
use super::world::World;
use crate::nodes::pki;

const DAY: i64 = 24 * 3600;

fn code(refused: Result<impl Sized, Refused>) -> String {
    refused.err().expect("a refusal").code
}

/// What a node is answered that says hello.
async fn greeted(agent: &Agent, world: &World) -> Option<Refused> {
    let mut stream = agent.stream(world, hello()).await;
    match stream.next().await.expect("an answer") {
        In::Welcome(_) => None,
        In::Refused(refused) => Some(refused),
        other => panic!("{other:?}"),
    }
}

async fn joined() -> (World, Agent) {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    (world, agent)
}

#[tokio::test]
async fn a_certificate_that_has_expired_opens_its_renewal_and_nothing_else() {
    let (world, agent) = joined().await;
    assert!(greeted(&agent, &world).await.is_none());
    // The control plane was away meanwhile.
    world.clock.advance(8 * DAY);
    let world = world.restart().await;
    let refused = greeted(&agent, &world).await.unwrap();
    assert_eq!(refused.code, CERTIFICATE_EXPIRED);
    assert!(refused.sentence.contains("90 days"), "{}", refused.sentence);

    let another = Host::new("node-1", [10, 0, 0, 11]);
    assert_eq!(code(agent.renew(&world, another.csr()).await), "body.malformed");
    assert_eq!(code(agent.renew(&world, vec![1, 2, 3]).await), "body.malformed");
    let csr = agent.host.csr();
    let certificate = agent.renew(&world, csr).await.unwrap();
    let identity = pki::identity(&CertificateDer::from(certificate.clone())).unwrap();
    assert_eq!(identity.not_after, world.clock_seconds() + pki::CLIENT_LIFETIME);
    let agent = agent.certified(&world, certificate);
    assert!(greeted(&agent, &world).await.is_none());
}

#[tokio::test]
async fn a_stream_ends_with_its_certificate() {
    let (world, agent) = joined().await;
    let (mut stream, ..) = agent.fresh(&world).await;
    world.clock.advance(7 * DAY);
    assert_eq!(stream.refused().await.unwrap().code, CERTIFICATE_EXPIRED);
    // Also one that is resumed: it shows the certificate of its beginning.
    assert_eq!(greeted(&agent, &world).await.unwrap().code, CERTIFICATE_EXPIRED);
}

#[tokio::test]
async fn for_ninety_days_it_is_renewed_while_the_node_is_there_and_later_a_token_does_it() {
    let (world, agent) = joined().await;
    let node = world.node(agent.id).unwrap();
    world.clock.advance((7 + 90) * DAY - 1);
    assert!(agent.renew(&world, agent.host.csr()).await.is_ok());
    world.clock.advance(2);
    let refused = agent.renew(&world, agent.host.csr()).await.unwrap_err();
    assert_eq!(refused.code, "certificate.too_old");
    for word in ["node-1", "more than 90 days ago", "new join token"] {
        assert!(refused.sentence.contains(word), "{}", refused.sentence);
    }
    let token = world.token(node.cluster, Some(agent.id)).await;
    let again = agent.host.join(&world, &token).await.unwrap();
    assert_eq!(again.node_id, agent.id.as_bytes());
    let agent = agent.certified(&world, again.certificate);
    assert!(greeted(&agent, &world).await.is_none());

    // Of a removed node nothing is renewed, nor is anything of one that the store does not know.
    world.clock.advance(8 * DAY);
    world.write(Command::Delete(Delete::Node(agent.id))).await;
    assert_eq!(code(agent.renew(&world, agent.host.csr()).await), "node.removed");
}

#[tokio::test]
async fn what_was_issued_while_the_clock_was_ahead_is_renewed_once_it_is_right() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    world.clock.advance(400 * DAY);
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let (mut stream, ..) = agent.fresh(&world).await;
    world.clock.advance(-400 * DAY);
    // Nothing more is issued by a clock that is behind what it has written, and the stream goes on meanwhile.
    let refused = agent.renew(&world, agent.host.csr()).await.unwrap_err();
    assert_eq!((refused.code.as_str(), refused.retry), ("clock.behind", true));
    let other = Host::new("node-2", [10, 0, 0, 12]);
    world.clock.advance(400 * DAY);
    let token = world.token(cluster, None).await;
    world.clock.advance(-400 * DAY);
    assert_eq!(code(other.join(&world, &token).await), "clock.behind");
    // Its certificate is of the future.
    assert_eq!(stream.refused().await.unwrap().code, CERTIFICATE_EXPIRED);
    // After an hour of running it is the commits that were wrong.
    world.watch.advance(std::time::Duration::from_secs(3600));
    let certificate = agent.renew(&world, agent.host.csr()).await.unwrap();
    let agent = agent.certified(&world, certificate);
    assert!(greeted(&agent, &world).await.is_none());
}

#[tokio::test]
async fn a_renewal_that_has_to_wait_does_not_end_the_stream() {
    let (world, agent) = joined().await;
    let (mut stream, ..) = agent.fresh(&world).await;
    let renew = || Out::Renew(RenewRequest { csr: agent.host.csr() });
    world.clock.advance(-120);
    stream.send(renew()).await;
    let Some(In::Progress(_)) = stream.next().await else {
        panic!("the stream goes on")
    };
    world.clock.advance(120);
    stream.send(renew()).await;
    assert!(matches!(stream.news().await, Some(In::Renewed(_))));
}

#[tokio::test]
async fn the_endpoints_own_certificate_is_of_now_after_any_pause() {
    let (world, agent) = joined().await;
    let shown = |socket: &super::client::Socket| socket.get_ref().get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let first = shown(&anew(&agent, &world).await);
    assert_eq!(shown(&anew(&agent, &world).await), first, "it is made once a day");
    // A month in which no timer ran; and back.
    for days in [31, -31] {
        world.clock.advance(days * DAY);
        let now = shown(&anew(&agent, &world).await);
        let (_, parsed) = x509_parser::parse_x509_certificate(&now).unwrap();
        let seconds = world.clock_seconds() / 1_000_000;
        assert_eq!(parsed.validity().not_after.timestamp(), seconds + 30 * DAY);
    }
}

/// A connection that resumes nothing.
async fn anew(agent: &Agent, world: &World) -> super::client::Socket {
    let identity = Some((&agent.certificate[..], &agent.host.key));
    let config = super::client::config(world, identity, &rustls::version::TLS13);
    let socket = super::client::connect(world.address, portolan_wire::STREAM_PATH, config).await;
    Stream(socket.unwrap()).0
}
