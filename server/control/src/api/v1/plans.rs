//! `GET …/delete-plan`: what a delete would take with it, what it would leave, and what stops it.
//!
//! The delete itself is decided by the writer and taken back, so the plan is what the delete does.

use portolan_core::command::Command;
use portolan_core::model::display_name;
use portolan_core::model::{Object, Port, owner};
use portolan_core::view::View;
use portolan_shared::refusal::{Class, Refusal};
use portolan_shared::stages::Because;
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
    let network = call.control().read(|view| find::network(&call, view, &path))?;
    plan(&call, Command::DeleteNetwork(network.id)).await
}

/// `GET …/subnets/{id}/delete-plan`.
pub async fn subnet(call: Call, path: Segments) -> Answer {
    let subnet = call.control().read(|view| find::subnet(&call, view, &path))?;
    plan(&call, Command::DeleteSubnet(subnet.id)).await
}

/// `GET …/ports/{id}/delete-plan`.
pub async fn port(call: Call, path: Segments) -> Answer {
    let port = call.control().read(|view| find::port(&call, view, &path))?;
    plan(&call, Command::DeletePort(port.id)).await
}

/// `GET …/clusters/{id}/delete-plan`.
pub async fn cluster(call: Call, path: Segments) -> Answer {
    let cluster = call.control().read(|view| find::cluster(&call, view, &path))?;
    plan(&call, Command::DeleteCluster(cluster.id)).await
}

/// `GET …/clusters/{id}/nodes/{node}/delete-plan`.
pub async fn node(call: Call, path: Segments) -> Answer {
    let node = call.control().read(|view| find::node(&call, view, &path))?;
    plan(&call, Command::DeleteNode(node.id)).await
}

async fn plan(call: &Call, command: Command) -> Answer {
    let (revision, goes, stays, stops) = match call.try_out(command).await {
        Ok(outcome) => (outcome.revision, outcome.objects, outcome.stays, Vec::new()),
        // What stands in the way, as the delete would say it.
        Err(refusal) if matches!(refusal.class(), Class::Conflict | Class::Forbidden) => {
            let head = call.control().read(View::head);
            (head, Vec::new(), Vec::new(), vec![stop(&refusal)])
        }
        Err(refusal) => return Err(Failure::from(refusal)),
    };
    reply::ok(&DeletePlan {
        revision,
        goes: items(call, goes.iter().map(|object| (object, None))),
        stays: items(call, stays.iter().map(|(object, because)| (object, Some(because)))),
        stops,
    })
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
fn items<'a>(call: &Call, objects: impl Iterator<Item = (&'a Object, Option<&'a Because>)>) -> Vec<PlanItem> {
    let mut items: Vec<PlanItem> = Vec::new();
    for (object, because) in objects {
        let Some((kind, name)) = named(call, object) else {
            continue;
        };
        let reason = because.map(Because::reason);
        let same = |item: &PlanItem| item.kind == kind && item.reason == reason;
        let at = items.iter().position(same).unwrap_or_else(|| {
            items.push(PlanItem {
                kind,
                count: 0,
                names: Vec::new(),
                reason,
            });
            items.len() - 1
        });
        let item = &mut items[at];
        item.count += 1;
        if item.names.len() < NAMED {
            item.names.push(name);
        }
    }
    items
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

fn of_port(call: &Call, port: &Port) -> Option<(PlanKind, String)> {
    Some(match (&port.pod, &*port.device_owner) {
        (Some(pod), _) => (PlanKind::Pod, format!("{}/{}", pod.namespace, pod.name)),
        // A node and its port are one thing.
        (None, owner::NODE) => return None,
        (None, owner::EXTERNAL) => (PlanKind::ExternalIp, port.fixed_ips.first()?.address.to_string()),
        (None, _) if call.reads(port) => (PlanKind::Port, display_name(&port.name, port.id)),
        (None, _) => return None,
    })
}
