//! Address scopes: at `/v2.0` as Neutron has them, in the console's list, in the audit, and when their project goes.

use portolan_core::model::Role;
use portolan_shared::kinds::address_scopes::MAX;
use serde_json::{Value, json};

use super::cases::{Other, Sample};
use super::kit::{Server, User, id};

pub(crate) const SAMPLE: Sample = Sample {
    one: "address_scope",
    new: r#"{"ip_version":4,"project_id":"{project}"}"#,
    other: Other::Forbidden,
};

const PATH: &str = "/v2.0/address-scopes";

async fn make(user: &User<'_>, attributes: Value) -> Value {
    let made = user.post(PATH, json!({ "address_scope": attributes })).await.is(201);
    made.json()["address_scope"].clone()
}

/// Names that a list shows.
async fn listed(user: &User<'_>, query: &str) -> Vec<String> {
    let list = user.get(&format!("{PATH}{query}")).await.is(200).json();
    let scopes = list["address_scopes"].as_array().unwrap().iter();
    scopes.map(|scope| scope["name"].as_str().unwrap().to_owned()).collect()
}

/// Names that the console's list shows, those of others with a star.
async fn rows(user: &User<'_>) -> Vec<String> {
    let path = format!("/portolan/v1/projects/{}/address-scopes", user.project);
    let list = user.get(&path).await.is(200).json();
    let row = |row: &Value| {
        format!(
            "{}{}",
            row["name"].as_str().unwrap(),
            if row["foreign"] == true { "*" } else { "" }
        )
    };
    list["items"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test]
async fn from_made_to_gone_as_neutron_has_them() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let made = make(&ann, json!({ "name": "inner", "ip_version": "4" })).await;
    let path = format!("{PATH}/{}", id(&made));
    // None of the standard attributes.
    assert_eq!(
        made,
        json!({ "id": made["id"], "name": "inner", "tenant_id": ann.project, "project_id": ann.project,
            "ip_version": 4, "shared": false })
    );
    assert_eq!(ann.get(&path).await.is(200).json()["address_scope"], made);
    let changed = ann
        .put(&path, json!({ "address_scope": { "name": "outer" } }))
        .await
        .is(200);
    assert_eq!(changed.json()["address_scope"]["name"], "outer");
    for (body, status) in [
        (json!({ "name": "x" }), 400),
        (json!({ "ip_version": 5 }), 400),
        (json!({ "ip_version": 4, "description": "x" }), 400),
        (json!({ "ip_version": 4, "shared": true }), 403),
    ] {
        ann.post(PATH, json!({ "address_scope": body })).await.is(status);
    }
    ann.put(&path, json!({ "address_scope": { "ip_version": 6 } }))
        .await
        .is(400);
    ann.post(PATH, json!({ "address_scopes": [{ "ip_version": 4 }] }))
        .await
        .is(400);
    ann.get(&format!("{PATH}?changed_since=2026-01-01T00:00:00"))
        .await
        .is(400);
    assert_eq!(listed(&ann, "?ip_version=4&shared=false").await, ["outer"]);
    assert_eq!(listed(&ann, "?ip_version=6").await, [""; 0]);
    ann.delete(&path).await.is(204);
    assert_eq!(ann.get(&path).await.is(404).kind(), "AddressScopeNotFound");
    ann.get("/v2.0/extensions/address-scope").await.is(200);
}

#[tokio::test]
async fn what_is_shared_others_see_and_do_not_change() {
    let server = Server::new().await;
    let (ann, bob) = (
        server.user("ann", "alpha", Role::Member).await,
        server.user("bob", "beta", Role::Member).await,
    );
    let admin = server.admin().await;
    make(&bob, json!({ "name": "own", "ip_version": 6 })).await;
    let scope = make(&ann, json!({ "name": "common", "ip_version": 4 })).await;
    let path = format!("{PATH}/{}", id(&scope));
    bob.get(&path).await.is(404);
    let share = |shared: bool| json!({ "address_scope": { "shared": shared } });
    ann.put(&path, share(true)).await.is(403);
    admin.put(&path, share(true)).await.is(200);
    assert_eq!(bob.get(&path).await.is(200).json()["address_scope"]["shared"], true);
    assert_eq!(listed(&bob, "?sort_key=name").await, ["common", "own"]);
    assert_eq!(rows(&bob).await, ["own", "common*"]);
    assert_eq!(rows(&ann).await, ["common"]);
    bob.put(&path, json!({ "address_scope": { "name": "mine" } }))
        .await
        .is(403);
    bob.delete(&path).await.is(403);
    // It is not taken back, but its owner still renames it.
    admin.put(&path, share(false)).await.is(400);
    ann.put(&path, json!({ "address_scope": { "name": "everyone's" } }))
        .await
        .is(200);
    ann.delete(&path).await.is(204);
    assert_eq!(rows(&bob).await, ["own"]);
}

#[tokio::test]
async fn a_project_has_so_many_and_takes_them_along() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    for _ in 0..MAX {
        make(&ann, json!({ "ip_version": 4 })).await;
    }
    let more = ann.post(PATH, json!({ "address_scope": { "ip_version": 4 } })).await;
    assert_eq!(more.is(409).kind(), "OverQuota");
    let admin = server.admin().await;
    admin.delete(&format!("/v3/projects/{}", ann.project)).await.is(204);
    assert_eq!(listed(&admin, "").await, [""; 0]);
}

#[tokio::test]
async fn the_audit_tells_of_them() {
    let server = Server::new().await;
    let ann = server.user("ann", "alpha", Role::Member).await;
    let scope = make(&ann, json!({ "name": "inner", "ip_version": 4 })).await;
    ann.delete(&format!("{PATH}/{}", id(&scope))).await.is(204);
    let path = format!("/portolan/v1/projects/{}/audit?kind=address_scope", ann.project);
    let entries = ann.get(&path).await.is(200).json();
    let told: Vec<(&Value, &Value)> = entries["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["objects"][0]["op"], &entry["objects"][0]["name"]))
        .collect();
    let name = json!("inner");
    assert_eq!(told, [(&json!("delete"), &name), (&json!("create"), &name)]);
    let fields = entries["items"][1]["objects"][0]["fields"].as_array().unwrap();
    let fields: Vec<&str> = fields.iter().map(|field| field["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "ip_version", "shared"]);
}
