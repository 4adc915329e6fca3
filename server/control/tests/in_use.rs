//! By what a network or subnet is used that is to be deleted.
#![expect(clippy::unwrap_used, reason = "tests, and helpers of tests")]

mod common;

use common::{Kit, new_port, port_at};
use portolan_core::command::{Command, Delete, NewPort};
use portolan_core::view::PortScope;
use portolan_shared::ids::PortId;

#[tokio::test]
async fn what_is_in_use_is_not_deleted_and_says_by_what() {
    let kit = Kit::new().await;
    let network = kit.network().await;
    let id = kit.subnet(network, "10.0.0.0/24").await;
    let web = kit
        .port(NewPort {
            name: "web-1".into(),
            ..new_port(kit.project, network)
        })
        .await
        .unwrap();
    let refusal = kit.ask(Command::Delete(Delete::Subnet(id))).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!("Addresses of subnet {id} are in use by port web-1. Delete what uses them first.")
    );
    let refusal = kit.ask(Command::Delete(Delete::Network(network))).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Network web is in use by port web-1. Delete what uses it first."
    );
    kit.ask(Command::Delete(Delete::Port(web.id))).await.unwrap();
    kit.ask(Command::Delete(Delete::Network(network))).await.unwrap();
    assert!(kit.control.read(|view| view.subnet(id).is_none()));
}

/// The sentence's part about who.
fn by(refusal: &str) -> &str {
    let (_, by) = refusal.split_once("in use by ").unwrap();
    by.split_once(". Delete").unwrap().0
}

#[tokio::test]
async fn a_few_of_very_many_are_named_and_the_rest_counted() {
    let kit = Kit::new().await;
    let network = kit.quiet_network().await;
    let (one, two) = (
        kit.subnet(network, "10.0.0.0/24").await,
        kit.subnet(network, "10.0.1.0/24").await,
    );
    let hidden = |scope| kit.control.read(|view| view.hidden_count(scope));
    assert_eq!(hidden(PortScope::Subnet(one)), 1, "the way to the provider's services");
    let named = |n: u16| NewPort {
        name: format!("p{n}").into(),
        ..port_at(kit.project, network, &format!("10.0.{}.{}", n / 200, 10 + n % 200))
    };
    let many = Command::CreatePorts((0..300).map(named).collect());
    let made = kit.ask(many).await.unwrap();
    let said = async |command| kit.ask(command).await.unwrap_err().to_string();
    let first = "port p0, port p1, port p2, port p3, port p4 and";
    assert_eq!(
        by(&said(Command::Delete(Delete::Network(network))).await),
        format!("{first} 295 more")
    );
    assert_eq!(
        by(&said(Command::Delete(Delete::Subnet(one))).await),
        format!("{first} 195 more")
    );
    assert_eq!(
        by(&said(Command::Delete(Delete::Subnet(two))).await),
        "port p200, port p201, port p202, port p203, port p204 and 95 more"
    );

    // What the same batch makes and deletes counts as it is then.
    let ids: Vec<PortId> = made.objects.iter().map(|object| common::port(object).id).collect();
    let asked = ids[..297].iter().map(|id| kit.ask(Command::Delete(Delete::Port(*id))));
    let gone = futures_util::future::join_all(asked);
    let (gone, added, refused) = tokio::join!(
        gone,
        kit.ask(Command::CreatePorts(vec![named(7)])),
        kit.ask(Command::Delete(Delete::Network(network))),
    );
    assert!(gone.iter().all(Result::is_ok) && added.is_ok());
    assert_eq!(
        by(&refused.unwrap_err().to_string()),
        "port p297, port p298, port p299 and port p7"
    );
    assert_eq!(by(&said(Command::Delete(Delete::Subnet(one))).await), "port p7");
}
