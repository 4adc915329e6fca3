//! A node whose address changes.

use std::net::IpAddr;

use portolan_core::command::{Command, Request};
use portolan_core::model::{Node, Port};
use portolan_wire::agent::to_agent::Message as In;
use portolan_wire::field::address_bytes;

use super::client::{Agent, Host};
use super::world::World;

fn port(world: &World, node: &Node) -> Vec<IpAddr> {
    let ips = |port: &Port| port.fixed_ips.iter().map(|ip| ip.address).collect();
    world
        .control
        .read(|view| view.port(node.port).map(|port| ips(port)))
        .unwrap()
}

#[tokio::test]
async fn the_other_nodes_are_told_where_it_is_now() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let two = Agent::joined(&world, cluster, "node-2", [10, 0, 0, 12]).await;
    let (mut stream, ..) = two.fresh(&world).await;
    let to = |address: [u8; 4]| Command::RelocateNode {
        node: one.id,
        address: address.into(),
    };
    world.write(to([10, 0, 0, 55])).await;
    let Some(In::Change(change)) = stream.news().await else {
        panic!()
    };
    assert_eq!(change.put_nodes[0].addresses, [address_bytes([10, 0, 0, 55].into())]);
    let node = world.node(one.id).unwrap();
    assert_eq!(port(&world, &node), [IpAddr::from([10, 0, 0, 55])]);

    // What another has, or what is in another range, it does not get.
    for (address, code) in [
        ([10, 0, 0, 12], "port.address_taken"),
        ([192, 0, 2, 1], "port.address_outside"),
    ] {
        let request = Request::system(to(address));
        assert_eq!(world.control.write(request).await.unwrap_err().code(), code);
    }
    // The address that it had is free.
    world.write(to([10, 0, 0, 11])).await;
    assert_eq!(
        port(&world, &world.node(one.id).unwrap()),
        [IpAddr::from([10, 0, 0, 11])]
    );
}

#[tokio::test]
async fn a_host_with_the_nodes_own_token_says_where_it_is() {
    let world = World::new().await;
    let cluster = world.cluster("shop").await;
    let one = Agent::joined(&world, cluster, "node-1", [10, 0, 0, 11]).await;
    let token = world.token(cluster, Some(one.id)).await;
    let here = Host {
        key: one.host.key,
        ..Host::new("node-1", [10, 0, 0, 55])
    };
    here.join(&world, &token).await.unwrap();
    let node = world.node(one.id).unwrap();
    assert_eq!(node.addresses, [IpAddr::from([10, 0, 0, 55])]);
    assert_eq!(port(&world, &node), node.addresses);
    assert_eq!(world.blocks(one.id).len(), 1, "it is the machine that it was");
}
