//! What a project has and may have.

use portolan_core::model::Project;
use portolan_core::quotas::{Counted, Quotas};
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
    let limits = quotas.of(project);
    let quota = |counted: Counted| {
        let seen = match counted {
            Counted::Ports if rights.sees_everything() => view.hidden_count(PortScope::Project(project.id)),
            _ => 0,
        };
        let limit = limits.limit(counted);
        Quota {
            resource: counted.word().to_owned(),
            used: view.counted(project.id, counted) + seen,
            limit: (limit != u64::MAX).then_some(limit),
        }
    };
    let shown = [
        Counted::Networks,
        Counted::Subnets,
        Counted::Ports,
        Counted::Pods,
        Counted::Clusters,
    ];
    shown.map(quota).into()
}
