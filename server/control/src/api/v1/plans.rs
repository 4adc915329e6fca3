//! `GET …/delete-plan`: what a delete would take with it, what it would leave, and what stops it.
//!
//! Decided as the delete itself, on the view: the writer is not asked. Pods are counted, and a few named.

use portolan_core::command::Delete;
use portolan_core::decide::{Goes, Removal};
use portolan_core::model::display_name;
use portolan_core::model::{Object, Port, owner};
use portolan_core::view::{PortScope, View};
use portolan_shared::refusal::{Class, Refusal};
use portolan_shared::status::Reason;
use portolan_shared::v1::{DeletePlan, PlanItem, PlanKind};

use super::find;
use crate::api::context::{Call, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::reply;

/// Most names of an item.
const NAMED: usize = 10;

/// `GET …/networks/{id}/delete-plan`.
pub async fn network(call: Call, path: Segments) -> Answer {
    plan(&call, |view| Ok(Delete::Network(find::network(&call, view, &path)?.id)))
}

/// `GET …/subnets/{id}/delete-plan`.
pub async fn subnet(call: Call, path: Segments) -> Answer {
    plan(&call, |view| Ok(Delete::Subnet(find::subnet(&call, view, &path)?.id)))
}

/// `GET …/ports/{id}/delete-plan`.
pub async fn port(call: Call, path: Segments) -> Answer {
    plan(&call, |view| Ok(Delete::Port(find::port(&call, view, &path)?.id)))
}

/// `GET …/clusters/{id}/delete-plan`.
pub async fn cluster(call: Call, path: Segments) -> Answer {
    plan(&call, |view| Ok(Delete::Cluster(find::cluster(&call, view, &path)?.id)))
}

/// `GET …/clusters/{id}/nodes/{node}/delete-plan`.
pub async fn node(call: Call, path: Segments) -> Answer {
    plan(&call, |view| Ok(Delete::Node(find::node(&call, view, &path)?.id)))
}

fn plan(call: &Call, find: impl FnOnce(&View) -> Result<Delete, Failure>) -> Answer {
    let plan = call.control().read(|view| {
        let what = find(view)?;
        let (removal, stops) = match Removal::planned(view, &call.request(what.into()), what, call.caller.now) {
            Ok(removal) => (removal, Vec::new()),
            // What stands in the way, as the delete would say it.
            Err(refusal) if matches!(refusal.class(), Class::Conflict | Class::Forbidden) => {
                (Removal::default(), vec![stop(&refusal)])
            }
            Err(refusal) => return Err(Failure::from(refusal)),
        };
        let (mut goes, mut stays) = (Items::default(), Items::default());
        for going in &removal.goes {
            match going {
                Goes::Object(object) => goes.add(named(call, object), None),
                Goes::Node(node) => {
                    goes.add(Some((PlanKind::Node, node.name.clone())), None);
                    goes.pods(view, PortScope::Node(node.id));
                }
            }
        }
        for (object, because) in &removal.stays {
            stays.add(named(call, object), Some(because.reason()));
        }
        Ok(DeletePlan {
            revision: view.head(),
            goes: goes.0,
            stays: stays.0,
            stops,
        })
    });
    reply::ok(&plan?)
}

fn stop(refusal: &Refusal) -> Reason {
    let params = refusal.params().into_iter();
    Reason {
        code: refusal.code().to_owned(),
        params: params.map(|(name, value)| (name.to_owned(), value)).collect(),
        sentence: refusal.to_string(),
        since: None,
    }
}

/// Objects by kind, in the order of the first of each; each kind once for every reason.
#[derive(Default)]
struct Items(Vec<PlanItem>);

impl Items {
    fn of(&mut self, kind: PlanKind, reason: Option<Reason>) -> &mut PlanItem {
        let same = |item: &PlanItem| item.kind == kind && item.reason == reason;
        let at = self.0.iter().position(same).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(PlanItem {
                kind,
                count: 0,
                names: Vec::new(),
                reason,
            });
        }
        &mut self.0[at]
    }

    fn add(&mut self, object: Option<(PlanKind, String)>, reason: Option<Reason>) {
        let Some((kind, name)) = object else { return };
        let item = self.of(kind, reason);
        item.count += 1;
        if item.names.len() < NAMED {
            item.names.push(name);
        }
    }

    /// The pods of a node: counted, and named as far as there is room.
    fn pods(&mut self, view: &View, node: PortScope) {
        let count = view.pod_count(node);
        if count == 0 {
            return;
        }
        let item = self.of(PlanKind::Pod, None);
        item.count += count;
        let room = NAMED - item.names.len();
        let names = view.ports(node, None).filter_map(|port| pod_name(port));
        item.names.extend(names.take(room));
    }
}

/// What an object is called in a plan; `None`: it is not named by itself, or not the reader's to see.
fn named(call: &Call, object: &Object) -> Option<(PlanKind, String)> {
    Some(match object {
        Object::Cluster(cluster) => (PlanKind::Cluster, cluster.name.clone()),
        Object::Network(network) => (PlanKind::Network, display_name(&network.name, network.id)),
        Object::Subnet(subnet) => (PlanKind::Subnet, display_name(&subnet.name, subnet.id)),
        Object::Node(node) => (PlanKind::Node, node.name.clone()),
        Object::Port(port) => return of_port(call, port),
        _ => return None,
    })
}

fn pod_name(port: &Port) -> Option<String> {
    let pod = port.pod.as_ref()?;
    Some(format!("{}/{}", pod.namespace, pod.name))
}

fn of_port(call: &Call, port: &Port) -> Option<(PlanKind, String)> {
    Some(match (pod_name(port), &*port.device_owner) {
        (Some(pod), _) => (PlanKind::Pod, pod),
        // A node and its port are one thing.
        (None, owner::NODE) => return None,
        (None, owner::EXTERNAL) => (PlanKind::ExternalIp, port.fixed_ips.first()?.address.to_string()),
        (None, _) if call.reads(port) => (PlanKind::Port, display_name(&port.name, port.id)),
        (None, _) => return None,
    })
}
