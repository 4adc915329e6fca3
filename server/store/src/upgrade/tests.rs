use portolan_shared::ids::{ClusterId, NetworkId, ProjectId, UserId};

use super::*;

/// A whole body of every kind as this version has it, and which of its fields version 1 may lack.
fn bodies() -> Vec<(ObjectKind, Value, &'static [&'static str])> {
    let mut all = first();
    let born = |kind: &ObjectKind| Some((*kind, serde_json::from_str(kind.born()?.body).unwrap(), &[][..]));
    all.extend(ObjectKind::ALL.iter().filter_map(born));
    all
}

/// Those of the kinds of the first programs; of all others, each says its own.
fn first() -> Vec<(ObjectKind, Value, &'static [&'static str])> {
    let project = ProjectId::from_bytes([1; 16]).to_string();
    let user = UserId::from_bytes([2; 16]).to_string();
    let cluster = ClusterId::from_bytes([3; 16]).to_string();
    let id = NetworkId::from_bytes([4; 16]).to_string();
    let hash = vec![7; 32];
    let meta = json!({"project": project, "revision": 3, "revision_number": 1, "created_at": 5, "updated_at": 6});
    let person = json!({"id": user, "name": "ann"});
    vec![
        (
            ObjectKind::Project,
            json!({"id": project, "name": "shop", "description": "", "enabled": true, "mac_cursor": 9}),
            &[],
        ),
        (
            ObjectKind::User,
            json!({
                "id": user, "name": "ann", "password_hash": "$argon2id$", "enabled": true, "default_project": null,
                "language": null,
            }),
            &["language"],
        ),
        (
            ObjectKind::Assignment,
            json!({"user": user, "project": project, "role": "member"}),
            &[],
        ),
        (
            ObjectKind::Session,
            json!({"hash": hash, "user": user, "project": null, "csrf": null, "issued_at": 1, "expires_at": 2}),
            &[],
        ),
        (
            ObjectKind::Idempotency,
            json!({"hash": hash, "digest": hash, "made": [], "expires_at": 1, "project": null, "answer": null}),
            &["project", "answer"],
        ),
        (
            ObjectKind::Network,
            json!({
                "id": id, "meta": meta, "name": "web", "description": "", "admin_state_up": true, "mtu": 1500,
                "port_security_enabled": true, "dns_domain": "", "owner": null, "internet_access": false,
                "external": false, "shadow_port": null,
            }),
            &["internet_access", "external", "shadow_port"],
        ),
        (
            ObjectKind::Subnet,
            json!({
                "id": id, "meta": meta, "network": id, "name": "", "description": "", "cidr": "10.0.0.0/24",
                "gateway": "10.0.0.1", "pools": [{"start": "10.0.0.2", "end": "10.0.0.254"}], "dns": [], "routes": [],
                "enable_dhcp": true, "purpose": {"nodes": cluster}, "cursor": null,
            }),
            &["cursor"],
        ),
        (
            ObjectKind::Cluster,
            json!({
                "id": cluster, "meta": meta, "name": "web", "network": id, "private_network": true, "node_subnet": id,
                "pod_subnet": id, "service_range": "10.2.0.0/20", "path": "auto", "block_prefix": 26,
                "feed_revision": 0, "external_ip": null, "nodes_from": "join", "nodes_wanted": 0,
            }),
            &["feed_revision", "external_ip", "nodes_from", "nodes_wanted"],
        ),
        (
            ObjectKind::Node,
            json!({
                "id": id, "meta": meta, "cluster": cluster, "name": "node-1", "addresses": ["10.0.0.2"], "port": id,
                "joined_at": null, "key_hash": null, "found": null,
            }),
            &["key_hash", "found"],
        ),
        (
            ObjectKind::Block,
            json!({
                "id": id, "meta": meta, "cluster": cluster, "node": id, "subnet": id, "cidr": "10.1.0.64/26",
            }),
            &[],
        ),
        (
            ObjectKind::Port,
            json!({
                "id": id, "meta": meta, "network": id, "name": "", "description": "", "mac": "fa:16:3e:00:00:01",
                "fixed_ips": [{"subnet": id, "address": "10.0.0.2"}], "admin_state_up": true, "device_owner": "",
                "device_id": "", "node": null, "host": "", "pod": null, "port_security_enabled": true,
            }),
            &["description", "device_id", "node", "host", "pod"],
        ),
        (
            ObjectKind::NodeStatus,
            json!({
                "node": id, "cluster": cluster, "project": project, "revision": 3, "online": true, "since": 5,
                "applied_revision": 3, "exceptions": [], "agent_version": "0.1.0", "pod_seq": 4, "held_by": null,
                "beat": 0, "wants_block": null, "awaited": null, "tickets": {"given": 0, "open": false, "shown": 0},
                "copied": null, "losses": [], "paused": null, "paths": null,
            }),
            &[
                "held_by",
                "beat",
                "wants_block",
                "awaited",
                "tickets",
                "copied",
                "losses",
                "paths",
            ],
        ),
        (
            ObjectKind::JoinToken,
            json!({
                "id": id, "meta": meta, "secret_hash": hash, "cluster": cluster, "node": null, "expires_at": 9,
                "spent_at": null,
            }),
            &[],
        ),
        (
            ObjectKind::ShadowRequest,
            json!({
                "id": id, "meta": meta, "state": "new", "purpose": "machines", "nodes": 1, "network": null,
                "asked_by": person, "quotes": null, "awaits": null, "taken_by": null, "decided": null, "until": null,
                "revoked": null, "told_revision": 3, "told_at": 5, "side": "customer",
            }),
            &["awaits"],
        ),
        (
            ObjectKind::RequestMessage,
            json!({
                "id": id, "meta": meta, "request": id, "side": "support", "author": person, "internal": true,
                "text": "hm",
            }),
            &[],
        ),
    ]
}

fn read(kind: ObjectKind, version: i64, body: &Value) -> Result<Object, StoreError> {
    object(kind, version, body.to_string().as_bytes())
}

fn written(object: &Object) -> Value {
    serde_json::from_slice(&object.body().unwrap()).unwrap()
}

/// A field that is new fails here: bodies that were written without it need an upgrade.
#[test]
fn bodies_of_every_kind_are_as_this_version_has_them() {
    let mut kinds: Vec<_> = bodies().iter().map(|(kind, ..)| *kind).collect();
    kinds.sort();
    assert_eq!(kinds, ObjectKind::ALL);
    for (kind, body, _) in bodies() {
        assert_eq!(written(&read(kind, BODY_VERSION, &body).unwrap()), body, "{kind:?}");
    }
}

#[test]
fn what_version_1_lacks_is_filled_in_and_what_it_has_stays() {
    for (kind, body, late) in bodies() {
        let mut old = body.clone();
        for field in late {
            old.as_object_mut().unwrap().remove(*field).unwrap();
        }
        assert_eq!(written(&read(kind, 1, &old).unwrap()), body, "{kind:?}");
    }
    let (kind, mut body, _) = bodies().swap_remove(7);
    body["nodes_from"] = json!("lab");
    body["nodes_wanted"] = json!(5);
    assert_eq!(written(&read(kind, 1, &body).unwrap()), body);
}

/// What came with each later version: the version before, the kind's place in the list, and the fields.
const LATER: &[(i64, usize, &[&str])] = &[
    (2, 8, &["found"]),
    (
        2,
        11,
        &["wants_block", "awaited", "tickets", "copied", "losses", "paths"],
    ),
];

#[test]
fn what_a_later_version_brought_is_filled_in() {
    for (version, index, fields) in LATER {
        let (kind, body, _) = bodies().swap_remove(*index);
        let mut old = body.clone();
        for field in *fields {
            old.as_object_mut().unwrap().remove(*field).unwrap();
        }
        assert_eq!(written(&read(kind, *version, &old).unwrap()), body, "{kind:?}");
    }
}

#[test]
fn ports_of_pods_and_nodes_are_not_off_any_more() {
    let (kind, mut body, _) = bodies().swap_remove(10);
    body["admin_state_up"] = json!(false);
    for (owner, on) in [
        ("portolan:pod", true),
        ("portolan:node", true),
        ("compute:nova", false),
        ("", false),
    ] {
        body["device_owner"] = json!(owner);
        let read = written(&read(kind, 2, &body).unwrap());
        assert_eq!(read["admin_state_up"], json!(on), "{owner}");
    }
}

#[test]
fn a_body_of_now_that_lacks_something_is_not_guessed_at() {
    let (kind, mut body, _) = bodies().swap_remove(7);
    body.as_object_mut().unwrap().remove("nodes_wanted").unwrap();
    let refused = read(kind, BODY_VERSION, &body).unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
}

#[test]
fn a_version_that_is_not_known_is_refused_in_a_sentence() {
    let (kind, body, _) = bodies().swap_remove(10);
    let newer = read(kind, BODY_VERSION + 1, &body).unwrap_err();
    assert_eq!(
        newer.to_string(),
        "a row of ports was written by a newer Portolan (its body has version 4, this one reads up to 3); start that one"
    );
    for version in [0, -1, i64::MIN] {
        let refused = read(kind, version, &body).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt(_)), "{version}: {refused}");
    }
}
