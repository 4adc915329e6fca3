//! Stored bodies of older programs, brought up to what this one reads.
//!
//! Every row says by its `body_version` how its body is made. What has shipped never changes: where a
//! shape of the model's does, an upgrade is appended here. Nothing is written for it: a row keeps its
//! version until its object changes the next time, and the audit's rows for good.

use std::borrow::Cow;

use portolan_core::model::{Object, ObjectKind, owner};
use serde_json::{Map, Value, json};

use super::StoreError;

/// What makes a body of the next version of one of the version before.
type Upgrade = fn(ObjectKind, &mut Map<String, Value>);

/// The first is of version 1 to 2, and so on.
const UPGRADES: &[Upgrade] = &[fill_in, to_3];

/// Version of the bodies this program writes.
pub(super) const BODY_VERSION: i64 = UPGRADES.len() as i64 + 1;

/// The object in a body of this version.
pub(super) fn object(kind: ObjectKind, version: i64, body: &[u8]) -> Result<Object, StoreError> {
    let body = upgrade(kind, version, body)?;
    Object::from_body(kind, &body).map_err(|error| corrupt(kind, &error))
}

/// A body of this version as this program would have written it.
fn upgrade(kind: ObjectKind, version: i64, body: &[u8]) -> Result<Cow<'_, [u8]>, StoreError> {
    if version == BODY_VERSION {
        return Ok(Cow::Borrowed(body));
    }
    if version > BODY_VERSION {
        return Err(StoreError::NewerBody {
            table: kind.table(),
            found: version,
            known: BODY_VERSION,
        });
    }
    let missing = usize::try_from(version.saturating_sub(1))
        .ok()
        .and_then(|done| UPGRADES.get(done..));
    let missing = missing.ok_or_else(|| StoreError::Corrupt(format!("{}: body version {version}", kind.table())))?;
    let mut fields = serde_json::from_slice(body).map_err(|error| corrupt(kind, &error))?;
    for upgrade in missing {
        upgrade(kind, &mut fields);
    }
    let body = serde_json::to_vec(&fields).map_err(|error| corrupt(kind, &error))?;
    Ok(Cow::Owned(body))
}

fn corrupt(kind: ObjectKind, error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("{}: {error}", kind.table()))
}

/// Version 1 to 2: bodies of version 1 lack what came after the first of them was written.
fn fill_in(kind: ObjectKind, body: &mut Map<String, Value>) {
    let late = match kind {
        ObjectKind::User => json!({"language": null}),
        ObjectKind::Idempotency => json!({"project": null, "answer": null}),
        ObjectKind::Network => json!({"internet_access": false, "external": false, "shadow_port": null}),
        ObjectKind::Subnet => json!({"cursor": null}),
        ObjectKind::Cluster => json!({
            "feed_revision": 0, "external_ip": null, "nodes_from": "join", "nodes_wanted": 0,
        }),
        ObjectKind::Node => json!({"key_hash": null}),
        ObjectKind::Port => json!({"description": "", "device_id": "", "node": null, "host": "", "pod": null}),
        ObjectKind::NodeStatus => json!({"held_by": null, "beat": 0}),
        ObjectKind::ShadowRequest => json!({"awaits": null}),
        _ => return,
    };
    if let Value::Object(late) = late {
        for (name, value) in late {
            body.entry(name).or_insert(value);
        }
    }
}

/// Version 2 to 3: ports that agents use could be called switched off in version 2, though their traffic went on; that
/// a node wants a block, or is waited for, or was found again, was not stored, nor what its probes say, nor that healing
/// is paused there.
fn to_3(kind: ObjectKind, body: &mut Map<String, Value>) {
    let late: &[&str] = match kind {
        ObjectKind::NodeStatus => &["wants_block", "awaited", "copied", "paused", "paths"],
        ObjectKind::Node => &["found"],
        _ => &[],
    };
    for name in late {
        body.insert((*name).to_owned(), Value::Null);
    }
    if kind == ObjectKind::NodeStatus {
        body.insert("tickets".to_owned(), json!({"given": 0, "open": false, "shown": 0}));
        body.insert("losses".to_owned(), json!([]));
    }
    let agents = |owner: &Value| owner.as_str().is_some_and(|owner| owner.starts_with(owner::PREFIX));
    if kind == ObjectKind::Port && body.get("device_owner").is_some_and(agents) {
        body.insert("admin_state_up".to_owned(), Value::Bool(true));
    }
}

#[cfg(test)]
mod tests;
