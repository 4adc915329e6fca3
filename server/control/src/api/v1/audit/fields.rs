//! What of an object changed, as the audit shows it.

use portolan_core::audience::Audience;
use portolan_core::fields::Fields;
use portolan_core::model::Object;
use portolan_shared::v1::{AuditOp, FieldChange};

/// What of an object changed: all that there is for a create and a delete.
pub(super) fn changes(op: AuditOp, object: &Object, before: Option<&Object>, audience: Audience) -> Vec<FieldChange> {
    let side = |object: Option<&Object>| object.map_or_else(Fields::default, |object| object.fields(audience)).0;
    let (before, after) = match op {
        AuditOp::Create => (None, Some(object)),
        AuditOp::Update => (before, Some(object)),
        AuditOp::Delete => (Some(object), None),
    };
    let (old, new) = (side(before), side(after));
    let value = |fields: &[(&'static str, String)], name: &str| {
        fields
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    };
    let mut names: Vec<&'static str> = new.iter().map(|(name, _)| *name).collect();
    names.extend(
        old.iter()
            .map(|(name, _)| *name)
            .filter(|name| value(&new, name).is_none()),
    );
    let mut changed: Vec<FieldChange> = names
        .into_iter()
        .map(|name| FieldChange {
            field: name.to_owned(),
            before: value(&old, name),
            after: value(&new, name),
        })
        .filter(|change| change.before != change.after)
        .collect();
    // That it changed is told, to what is not.
    if let (Some(Object::User(before)), Some(Object::User(after))) = (before, after)
        && before.password_hash != after.password_hash
    {
        changed.push(FieldChange {
            field: "password".to_owned(),
            before: None,
            after: None,
        });
    }
    changed
}
