//! What a project has and may have.

use portolan_core::model::Project;
use portolan_core::quotas::Quotas;
use portolan_core::view::{PortScope, View};
use portolan_shared::v1::{List, Quota};

use crate::api::context::Call;
use crate::api::error::Answer;
use crate::api::reply;
use crate::identity::rights::Rights;

/// `GET …/quotas`.
pub async fn list(call: Call) -> Answer {
    let control = call.control();
    let (revision, items) =
        control.read(|view| (view.head(), rows(view, &call.project, control.quotas(), call.rights)));
    reply::ok(&List {
        revision,
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: None,
    })
}

/// What there is of each resource, and what there may be; hidden ports count for those who see them.
pub fn rows(view: &View, project: &Project, quotas: Quotas, rights: Rights) -> Vec<Quota> {
    let scope = PortScope::Project(project.id);
    let pods = view.pod_count(scope);
    let hidden = if rights.sees_everything() {
        0
    } else {
        view.hidden_count(scope)
    };
    let ports = view.port_count(scope).saturating_sub(pods).saturating_sub(hidden);
    let limits = quotas.of(project);
    [
        ("network", view.network_count(project.id), limits.networks),
        ("subnet", view.subnet_count(project.id), limits.subnets),
        ("port", ports, limits.ports),
        ("pod", pods, limits.pods),
        ("cluster", view.cluster_count(project.id), limits.clusters),
    ]
    .into_iter()
    .map(|(resource, used, limit)| Quota {
        resource: resource.to_owned(),
        used,
        limit: (limit != u64::MAX).then_some(limit),
    })
    .collect()
}
