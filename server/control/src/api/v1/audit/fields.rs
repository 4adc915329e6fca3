//! What of an object the audit shows: names as the API writes them, values as text. A list by kind, so
//! that nothing is shown by accident: never a password's, a key's or a secret's hash.

use std::fmt::Display;

use portolan_core::audience::Audience;
use portolan_core::model::{Decided, Object, ObjectKind, Purpose};
use portolan_shared::addr::IpRange;
use portolan_shared::v1::{AuditKind, AuditOp, FieldChange, RequestState, Side};
use serde::Serialize;

use super::super::rows::moment;

/// Most characters of a name that is made of a longer text.
const NAME: usize = 60;

/// The kind in the audit; `None` for what is not audited.
pub(super) fn kind(object: &Object) -> Option<AuditKind> {
    Some(match object {
        Object::Network(_) => AuditKind::Network,
        Object::Subnet(_) => AuditKind::Subnet,
        Object::Port(_) => AuditKind::Port,
        Object::Cluster(_) => AuditKind::Cluster,
        Object::Node(_) => AuditKind::Node,
        Object::JoinToken(_) => AuditKind::JoinToken,
        Object::ShadowRequest(_) => AuditKind::Request,
        Object::RequestMessage(_) => AuditKind::Message,
        Object::Project(_) => AuditKind::Project,
        Object::User(_) => AuditKind::User,
        Object::Assignment(_) => AuditKind::Role,
        Object::Session(_) | Object::Idempotency(_) | Object::Block(_) | Object::NodeStatus(_) => return None,
    })
}

/// The stored kind.
pub(super) fn stored(kind: AuditKind) -> ObjectKind {
    match kind {
        AuditKind::Network => ObjectKind::Network,
        AuditKind::Subnet => ObjectKind::Subnet,
        AuditKind::Port => ObjectKind::Port,
        AuditKind::Cluster => ObjectKind::Cluster,
        AuditKind::Node => ObjectKind::Node,
        AuditKind::JoinToken => ObjectKind::JoinToken,
        AuditKind::Request => ObjectKind::ShadowRequest,
        AuditKind::Message => ObjectKind::RequestMessage,
        AuditKind::Project => ObjectKind::Project,
        AuditKind::User => ObjectKind::User,
        AuditKind::Role => ObjectKind::Assignment,
    }
}

/// The id, as the API writes it; a role's is project, user and role.
pub(super) fn id(object: &Object) -> String {
    match object {
        Object::Network(o) => o.id.to_string(),
        Object::Subnet(o) => o.id.to_string(),
        Object::Port(o) => o.id.to_string(),
        Object::Cluster(o) => o.id.to_string(),
        Object::Node(o) => o.id.to_string(),
        Object::JoinToken(o) => o.id.to_string(),
        Object::ShadowRequest(o) => o.id.to_string(),
        Object::RequestMessage(o) => o.id.to_string(),
        Object::Project(o) => o.id.to_string(),
        Object::User(o) => o.id.to_string(),
        Object::Assignment(o) => format!("{}/{}/{}", o.project, o.user, o.role.name()),
        Object::Session(_) | Object::Idempotency(_) | Object::Block(_) | Object::NodeStatus(_) => String::new(),
    }
}

/// The name it had then; may be empty.
pub(super) fn name(object: &Object) -> String {
    let beginning = |text: &str| {
        text.chars()
            .take(NAME)
            .map(|c| if c == '\n' { ' ' } else { c })
            .collect()
    };
    match object {
        Object::Network(o) => o.name.clone(),
        Object::Subnet(o) => o.name.clone(),
        Object::Port(o) => o.name.to_string(),
        Object::Cluster(o) => o.name.clone(),
        Object::Node(o) => o.name.clone(),
        Object::ShadowRequest(o) => beginning(&o.purpose),
        Object::RequestMessage(o) => beginning(&o.text),
        Object::Project(o) => o.name.clone(),
        Object::User(o) => o.name.clone(),
        Object::Assignment(o) => o.role.name().to_owned(),
        Object::JoinToken(_)
        | Object::Session(_)
        | Object::Idempotency(_)
        | Object::Block(_)
        | Object::NodeStatus(_) => String::new(),
    }
}

/// Fields with their values, in order.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn put(&mut self, field: &'static str, value: impl Display) {
        self.0.push((field, value.to_string()));
    }

    /// Not there if it is nothing.
    fn may(&mut self, field: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(field, value);
        }
    }

    /// Not there if it is empty.
    fn text(&mut self, field: &'static str, value: &str) {
        self.may(field, Some(value).filter(|value| !value.is_empty()));
    }

    /// Not there if there are none.
    fn list(&mut self, field: &'static str, values: impl IntoIterator<Item = impl Display>) {
        let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        self.text(field, &values.join(", "));
    }

    /// As a word of the wire's.
    fn word(&mut self, field: &'static str, value: impl Serialize) {
        if let Ok(serde_json::Value::String(word)) = serde_json::to_value(value) {
            self.put(field, word);
        }
    }

    /// Something that was decided: customers read no names of support's.
    fn decided(&mut self, [by, at, message]: [&'static str; 3], decided: Option<&Decided>, named: bool) {
        if let Some(decided) = decided {
            self.may(by, named.then_some(&decided.by.name));
            self.put(at, moment(decided.at));
            self.may(message, decided.message.as_ref());
        }
    }
}

fn fields(object: &Object, audience: Audience) -> Fields {
    let provider = audience == Audience::Provider;
    let mut fields = Fields::default();
    match object {
        Object::Network(o) => {
            fields.text("name", &o.name);
            fields.text("description", &o.description);
            fields.put("admin_state_up", o.admin_state_up);
            fields.put("mtu", o.mtu);
            fields.put("port_security_enabled", o.port_security_enabled);
            fields.text("dns_domain", &o.dns_domain);
            fields.put("internet_access", o.internet_access);
            fields.put("enable_shadow_port", o.shadow_port.is_some());
            fields.put("router:external", o.external);
            fields.may("cluster", o.owner);
        }
        Object::Subnet(o) => {
            fields.text("name", &o.name);
            fields.text("description", &o.description);
            fields.put("network_id", o.network);
            fields.put("cidr", o.cidr);
            fields.may("gateway_ip", o.gateway);
            let range = |pool: &IpRange| format!("{}-{}", pool.first(), pool.last());
            fields.list("allocation_pools", o.pools.iter().map(range));
            fields.list("dns_nameservers", &o.dns);
            let route =
                |route: &portolan_shared::check::HostRoute| format!("{} via {}", route.destination, route.next_hop);
            fields.list("host_routes", o.routes.iter().map(route));
            fields.put("enable_dhcp", o.enable_dhcp);
            if let Purpose::Nodes(cluster) | Purpose::Pods(cluster) = o.purpose {
                fields.put("cluster", cluster);
            }
        }
        Object::Port(o) => {
            fields.text("name", &o.name);
            fields.text("description", &o.description);
            fields.put("network_id", o.network);
            fields.put("mac_address", o.mac);
            fields.list("fixed_ips", o.fixed_ips.iter().map(|ip| ip.address));
            fields.put("admin_state_up", o.admin_state_up);
            fields.text("device_owner", &o.device_owner);
            fields.text("device_id", &o.device_id);
            fields.may("node", o.node);
            fields.text("binding:host_id", &o.host);
            fields.put("port_security_enabled", o.port_security_enabled);
        }
        Object::Cluster(o) => {
            fields.put("name", &o.name);
            fields.put("network", o.network);
            fields.put("private_network", o.private_network);
            fields.put("node_subnet", o.node_subnet);
            fields.put("pod_subnet", o.pod_subnet);
            fields.put("service_range", o.service_range);
            fields.word("path", o.path);
            fields.may("external_ip", o.external_ip.map(|ip| ip.address));
            fields.word("nodes_from", o.nodes_from);
            fields.may("nodes", Some(o.nodes_wanted).filter(|wanted| *wanted > 0));
        }
        Object::Node(o) => {
            fields.put("name", &o.name);
            fields.put("cluster", o.cluster);
            fields.list("addresses", &o.addresses);
            fields.may("joined_at", o.joined_at.map(moment));
        }
        Object::JoinToken(o) => {
            fields.put("cluster", o.cluster);
            fields.may("node", o.node);
            fields.put("expires_at", moment(o.expires_at));
            fields.may("spent_at", o.spent_at.map(moment));
        }
        Object::ShadowRequest(o) => {
            let own = o.state == RequestState::Withdrawn && o.side == Side::Customer;
            fields.put("purpose", &o.purpose);
            fields.put("nodes", o.nodes);
            fields.may("network", o.network);
            fields.put("state", o.state.word());
            fields.put("asked_by", &o.asked_by.name);
            fields.may("quotes", o.quotes);
            if let Some(side) = o.awaits {
                fields.word("awaits", side);
            }
            fields.may(
                "taken_by",
                o.taken_by.as_ref().filter(|_| provider).map(|taker| &taker.name),
            );
            let names = ["decided_by", "decided_at", "message"];
            fields.decided(names, o.decided.as_ref(), provider || own);
            fields.may("until", o.until.map(moment));
            fields.decided(
                ["revoked_by", "revoked_at", "revoked_message"],
                o.revoked.as_ref(),
                provider,
            );
        }
        Object::RequestMessage(o) => {
            fields.put("request", o.request);
            fields.word("side", o.side);
            let named = provider || o.side == Side::Customer;
            fields.may("author", named.then_some(&o.author.name));
            fields.may("internal", o.internal.then_some(true));
            fields.put("text", &o.text);
        }
        Object::Project(o) => {
            fields.put("name", &o.name);
            fields.text("description", &o.description);
            fields.put("enabled", o.enabled);
        }
        Object::User(o) => {
            fields.put("name", &o.name);
            fields.put("enabled", o.enabled);
            fields.may("default_project_id", o.default_project);
            fields.may("language", o.language.as_ref());
        }
        Object::Assignment(o) => {
            fields.put("user", o.user);
            fields.put("project", o.project);
            fields.put("role", o.role.name());
        }
        Object::Session(_) | Object::Idempotency(_) | Object::Block(_) | Object::NodeStatus(_) => {}
    }
    fields
}

/// What of an object changed: all that there is for a create and a delete.
pub(super) fn changes(op: AuditOp, object: &Object, before: Option<&Object>, audience: Audience) -> Vec<FieldChange> {
    let side = |object: Option<&Object>| object.map_or_else(Fields::default, |object| fields(object, audience)).0;
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
