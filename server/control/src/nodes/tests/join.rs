use portolan_core::command::{Command, Delete};
use portolan_shared::ids::NodeId;
use portolan_wire::agent::Refused;
use portolan_wire::token::{JoinToken, Secret};
use portolan_wire::{JOIN_PATH, RENEW_PATH, STREAM_PATH};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite;

use super::client::{Agent, Host, config, connect, join_frame, join_with};
use super::world::{World, while_timers_stand};
use crate::nodes::pki;
use crate::nodes::socket::FIRST_WORD;

fn code(refused: Result<impl Sized, Refused>) -> String {
    refused.err().expect("a refusal").code
}

#[tokio::test]
async fn a_token_lets_one_host_in_once() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let token = world.token(cluster, None).await;
    assert_eq!(token.endpoint, "127.0.0.1:7443");
    let host = Host::new("node-1", [10, 0, 0, 11]);
    let joined = host.join(&world, &token).await.unwrap();
    let identity = pki::identity(&CertificateDer::from(joined.certificate.clone())).unwrap();
    let node = world.node(identity.node).unwrap();
    assert_eq!((node.cluster, node.name.as_str()), (cluster, "node-1"));
    assert_eq!(node.key_hash, Some(identity.key_hash));
    assert_eq!(node.addresses, host.addresses);
    assert_eq!(world.blocks(node.id).len(), 1, "the first block comes with the join");
    assert_eq!(joined.store_id, world.control.store_id());
    assert_eq!(joined.ca_certificate, world.ca_certificate());

    let other = Host::new("node-2", [10, 0, 0, 12]);
    assert_eq!(code(other.join(&world, &token).await), "token.spent");
    // The first answer may have been lost on its way: the same key gets the same node.
    let again = host.join(&world, &token).await.unwrap();
    assert_eq!(again.node_id, joined.node_id);
}

#[tokio::test]
async fn a_spent_token_answers_its_host_for_ten_minutes_and_never_again() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let token = world.token(cluster, None).await;
    let host = Host::new("node-1", [10, 0, 0, 11]);
    let joined = host.join(&world, &token).await.unwrap();
    // It lets no other node in, which may need a new certificate.
    let other = Host::new("node-2", [10, 0, 0, 12]);
    let others = world.token(cluster, None).await;
    world.clock.advance(1);
    other.join(&world, &others).await.unwrap();
    assert_eq!(code(other.join(&world, &token).await), "token.spent");
    world.clock.advance(598);
    let again = host.join(&world, &token).await.unwrap();
    assert_eq!(again.node_id, joined.node_id, "and that counts from the join");
    world.clock.advance(1);
    assert_eq!(code(host.join(&world, &token).await), "token.spent");
    world.clock.advance(8 * 24 * 3600);
    assert_eq!(code(host.join(&world, &token).await), "token.spent");
    let fresh = world.token(cluster, None).await;
    world.clock.advance(-8 * 24 * 3600);
    assert_eq!(
        code(host.join(&world, &token).await),
        "clock.behind",
        "the clock was set back to the minutes after the join"
    );
    world.clock.advance(8 * 24 * 3600);
    // A new one lets the same host in, as the same node.
    let anew = host.join(&world, &fresh).await.unwrap();
    assert_eq!(anew.node_id, joined.node_id);
}

#[tokio::test]
async fn a_token_for_a_node_makes_the_host_that_node() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let node = world.expected(cluster, "node-7").await;
    let token = world.token(cluster, Some(node.id)).await;
    let mut host = Host::new("whatever", [192, 168, 1, 1]);
    assert_eq!(code(host.join(&world, &token).await), "node.outside_range");
    host.addresses.extend(&node.addresses);
    let joined = host.join(&world, &token).await.unwrap();
    assert_eq!(joined.node_id, node.id.as_bytes());
    assert_eq!(world.node(node.id).unwrap().name, "node-7");
}

#[tokio::test]
async fn what_does_not_let_in_says_why() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let token = world.token(cluster, None).await;
    let host = Host::new("node-1", [10, 0, 0, 11]);

    let guessed = JoinToken {
        secret: Secret::new([1; 32]),
        ..token.clone()
    };
    assert_eq!(code(host.join(&world, &guessed).await), "token.unknown");
    let unknown = JoinToken {
        id: portolan_shared::ids::JoinTokenId::from_bytes([1; 16]),
        ..token.clone()
    };
    assert_eq!(code(host.join(&world, &unknown).await), "token.unknown");

    let outside = Host {
        addresses: vec!["192.0.2.1".parse().unwrap()],
        ..Host::new("node-1", [0; 4])
    };
    assert_eq!(code(outside.join(&world, &token).await), "node.outside_range");
    let misnamed = Host {
        name: "Node 1".to_owned(),
        ..Host::new("", [10, 0, 0, 11])
    };
    assert_eq!(code(misnamed.join(&world, &token).await), "value.not_a_label");
    let mut request = host.request(&token);
    request.csr.truncate(20);
    assert_eq!(code(join_with(&world, request).await), "body.malformed");
    let old = portolan_wire::agent::JoinRequest {
        protocol: 0,
        ..host.request(&token)
    };
    assert_eq!(code(join_with(&world, old).await), "agent.protocol");
    assert_eq!(code(join_frame(&world, vec![0xff; 100]).await), "body.malformed");

    world.clock.advance(3599);
    let fresh = world.token(cluster, None).await;
    world.clock.advance(1);
    assert_eq!(code(host.join(&world, &token).await), "token.expired");
    host.join(&world, &fresh).await.unwrap();
}

#[tokio::test]
async fn a_token_of_a_deleted_cluster_is_unknown() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let token = world.token(cluster, None).await;
    world.write(Command::Delete(Delete::Cluster(cluster))).await;
    let refused = Host::new("node-1", [10, 0, 0, 11]).join(&world, &token).await;
    assert_eq!(code(refused), "token.unknown");
}

#[tokio::test]
async fn only_joining_needs_no_certificate() {
    let world = World::new().await;
    let anonymous = || config(&world, None, &rustls::version::TLS13);
    let status = |answer: Result<_, tungstenite::Error>| match answer {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("{:?}", other.err()),
    };
    assert_eq!(status(connect(world.address, STREAM_PATH, anonymous()).await), 401);
    assert_eq!(status(connect(world.address, RENEW_PATH, anonymous()).await), 401);
    assert_eq!(
        status(connect(world.address, "/agent/v1/other", anonymous()).await),
        404
    );
    assert!(connect(world.address, JOIN_PATH, anonymous()).await.is_ok());
}

#[tokio::test]
async fn certificates_of_others_and_old_versions_of_tls_are_refused() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let agent = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    // Named like a node, but signed by itself.
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    let uri = format!("portolan://{cluster}/node/{}", agent.id);
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    let forged = params.self_signed(&key).unwrap();
    let forger = config(&world, Some((forged.der(), &key)), &rustls::version::TLS13);
    assert!(connect(world.address, STREAM_PATH, forger).await.is_err());

    let old = config(&world, None, &rustls::version::TLS12);
    assert!(connect(world.address, JOIN_PATH, old).await.is_err());
    // And the endpoint's certificate is for its name, by its CA.
    let others = World::new().await;
    let wrong = config(&others, None, &rustls::version::TLS13);
    assert!(connect(world.address, JOIN_PATH, wrong).await.is_err());
}

#[tokio::test]
async fn a_host_that_was_away_for_long_is_the_node_it_was() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let first = world.token(cluster, None).await;
    let host = Host::new("node-1", [10, 0, 0, 11]);
    let joined = host.join(&world, &first).await.unwrap();
    let id = NodeId::from_bytes(joined.node_id.as_slice().try_into().unwrap());
    world.clock.advance(8 * 24 * 3600);
    for token in [world.token(cluster, None).await, world.token(cluster, Some(id)).await] {
        let again = host.join(&world, &token).await.unwrap();
        assert_eq!(again.node_id, joined.node_id, "by its key");
        let identity = pki::identity(&CertificateDer::from(again.certificate.clone())).unwrap();
        assert!(identity.not_after > world.control.now());
    }
    assert_eq!(world.control.read(|view| view.nodes_of(cluster).count()), 1);
    let other = Host::new("node-1", [10, 0, 0, 11]);
    let token = world.token(cluster, None).await;
    assert_eq!(
        code(other.join(&world, &token).await),
        "node.name_taken",
        "another key is another host"
    );
}

#[tokio::test]
async fn who_says_nothing_is_let_go_soon_and_takes_no_place() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(tokio::net::TcpStream::connect(world.address).await.unwrap());
    }
    let host = Host::new("node-1", [10, 0, 0, 11]);
    let token = world.token(cluster, None).await;
    host.join(&world, &token).await.unwrap();
    // By then, and so before a handshake would be given up.
    while_timers_stand(async {
        tokio::time::advance(FIRST_WORD * 2).await;
        for mut tcp in silent {
            assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0, "closed");
        }
    })
    .await;
}
