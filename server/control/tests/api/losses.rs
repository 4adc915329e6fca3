//! What others take away from a node, in the audit.

use portolan_core::model::{Loss, Role};
use portolan_shared::losses::LossKind;
use serde_json::{Value, json};

use super::kit::{Server, User};
use super::pod_ports::{Reporting, with_pods};

/// Entries of a project's audit about losses, as one of its people reads them.
async fn losses(user: &User<'_>, query: &str) -> Vec<Value> {
    let path = format!("/portolan/v1/projects/{}/audit?{query}", user.project);
    let list = user.get(&path).await.is(200).json();
    list["items"].as_array().unwrap().clone()
}

fn field(object: &Value, name: &str) -> Value {
    let mut fields = object["fields"].as_array().unwrap().iter();
    fields
        .find(|field| field["field"] == name)
        .map_or(Value::Null, |field| json!([field["before"], field["after"]]))
}

#[tokio::test]
async fn a_loss_is_in_the_audit_of_those_who_see_the_node() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let ben = server.user("ben", "beta", Role::Member).await;
    let admin = server.admin().await;
    let node = Reporting::new(&server, with_pods(&server, &ann, 1).await).await;
    let first = Loss {
        kind: LossKind::Routes,
        objects: 14,
        first_seen: 5,
        back_after_ms: Some(12),
        today: 1,
        contested: false,
        by: Some("systemd-networkd".into()),
    };
    node.loses(first.clone()).await;
    let next = Loss {
        first_seen: 9,
        today: 3,
        back_after_ms: None,
        ..first
    };
    node.loses(next).await;

    let told = losses(&ann, "kind=loss").await;
    let [second, first] = &told[..] else { panic!("{told:?}") };
    let (second, first) = (&second["objects"][0], &first["objects"][0]);
    assert_eq!((&first["op"], &first["name"]), (&json!("create"), &json!("node-1")));
    assert_eq!(first["said"]["code"], "node.lost");
    let sentence = first["said"]["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("by systemd-networkd: routes (14); put back in 12 ms"),
        "{sentence}"
    );
    assert_eq!(field(first, "times"), json!([null, "1"]));
    assert_eq!(second["said"]["code"], "node.lost_open");
    assert_eq!(
        (&second["op"], field(second, "times")),
        (&json!("update"), json!(["1", "3"]))
    );
    assert_eq!(field(second, "back_after_ms"), json!(["12", null]));

    // By what it is called, of its own project, and of all for who sees all.
    let id = format!("{}/{}/routes", node.node.cluster, node.node.id);
    assert_eq!(first["id"], id);
    let object = format!("object={}", id.replace('/', "%2F"));
    assert_eq!(losses(&ann, &object).await.len(), 2);
    for query in ["kind=loss", &object] {
        assert_eq!(losses(&ben, query).await, [json!(null); 0], "{query}");
    }
    let all = admin.get("/portolan/v1/support/audit?kind=loss").await.is(200).json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);

    // It stays when the node goes, and the losses' own end is no news beside that.
    let path = format!(
        "/portolan/v1/projects/{}/clusters/{}/nodes/{}",
        ann.project, node.node.cluster, node.node.id
    );
    ann.delete(&path).await.is(204);
    let gone = &losses(&ann, "op=delete").await[0];
    let kinds: Vec<&Value> = gone["objects"].as_array().unwrap().iter().map(|o| &o["kind"]).collect();
    assert!(
        kinds.contains(&&json!("node")) && !kinds.contains(&&json!("loss")),
        "{kinds:?}"
    );
    assert_eq!(losses(&ann, "kind=loss&op=update").await.len(), 1);
}
