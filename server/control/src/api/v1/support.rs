//! Support's side of shadowport requests, and finding projects.

use axum::extract::{OriginalUri, Query};
use axum::response::Response;
use portolan_core::audience::Audience;
use portolan_core::command::{Command, Outcome, Step};
use portolan_shared::check;
use portolan_shared::ids::{ProjectId, ShadowRequestId};
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v1::{
    GrantRequest, List, PostMessage, ProjectRow, QueueRow, Ref, RequestState, Side, SupportRequest, TEXT_MAX, Verdict,
};

use super::quotas;
use super::requests::{self, RequestFacts};
use super::rows::{ClusterFacts, NetworkFacts};
use crate::api::context::{Desk, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::Body;
use crate::api::reply;

/// Most rows of the queue in one answer.
const QUEUE_MAX: usize = 500;
/// Most projects found at once.
const PROJECTS_MAX: usize = 50;

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Asked {
    state: Option<String>,
    taker: Option<String>,
    project: Option<String>,
    q: Option<String>,
    marker: Option<String>,
}

fn asked(uri: &axum::http::Uri) -> Result<Asked, Refusal> {
    let Query(asked) = Query::<Asked>::try_from_uri(uri).map_err(|_| Refusal::Malformed {
        detail: "its query is no query".to_owned(),
    })?;
    Ok(asked)
}

/// States of requests that are asked for, and whether the oldest come first.
fn states(word: Option<&str>) -> Result<(Vec<RequestState>, bool), Refusal> {
    const ALL: [RequestState; 5] = [
        RequestState::New,
        RequestState::InReview,
        RequestState::Granted,
        RequestState::Declined,
        RequestState::Withdrawn,
    ];
    let of = |wanted: &dyn Fn(RequestState) -> bool| ALL.into_iter().filter(|state| wanted(*state)).collect();
    match word.unwrap_or("open") {
        "open" => Ok((of(&RequestState::open), true)),
        "all" => Ok((ALL.to_vec(), false)),
        word => match ALL.into_iter().find(|state| state.word() == word) {
            Some(state) => Ok((vec![state], state.open())),
            None => Err(Refusal::NotOneOf {
                field: "state".to_owned(),
                given: check::shortened(word),
                allowed: "open, all, new, in_review, granted, declined, withdrawn".to_owned(),
            }),
        },
    }
}

/// `GET /portolan/v1/support/requests`: what is open, the oldest first; else the newest first.
pub async fn queue(desk: Desk, OriginalUri(uri): OriginalUri) -> Answer {
    let asked = asked(&uri)?;
    let (wanted, oldest_first) = states(asked.state.as_deref())?;
    let id_of = |field: &str, given: &str| Refusal::NotAnId {
        field: field.to_owned(),
        given: check::shortened(given),
    };
    let project: Option<ProjectId> = match asked.project.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| id_of("project", text))?),
    };
    let marker: Option<ShadowRequestId> = match asked.marker.as_deref() {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| id_of("marker", text))?),
    };
    let words = asked.q.unwrap_or_default().trim().to_lowercase();
    let taken = |facts: &RequestFacts| match (asked.taker.as_deref(), &facts.request.taken_by) {
        (None | Some(""), _) => true,
        (Some("none"), taker) => taker.is_none(),
        (Some("me"), taker) => taker.as_ref().is_some_and(|taker| taker.id == desk.caller.user.id),
        (Some(name), taker) => taker.as_ref().is_some_and(|taker| taker.name == name),
    };
    let said = |facts: &RequestFacts| {
        let request = &facts.request;
        let texts = [
            request.id.to_string(),
            request.meta.project.to_string(),
            facts.project_name().to_lowercase(),
            request.asked_by.name.to_lowercase(),
            request.purpose.to_lowercase(),
        ];
        words.is_empty() || texts.iter().any(|text| text.contains(&words))
    };
    let (revision, rows) = desk.control().read(|view| {
        let all = view.requests();
        let rows: Vec<_> = all
            .filter(|request| wanted.contains(&request.state) && project.is_none_or(|id| id == request.meta.project))
            .map(|request| RequestFacts::listed(view, request, Audience::Provider))
            .filter(|facts| taken(facts) && said(facts))
            .map(|facts| {
                let id = facts.request.meta.project;
                (facts, view.network_count(id), view.cluster_count(id))
            })
            .collect();
        (view.head(), rows)
    });
    let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let mut rows = rows;
    if !oldest_first {
        rows.reverse();
    }
    let after = |(facts, ..): &(RequestFacts, u64, u64)| match marker {
        None => true,
        Some(marker) if oldest_first => facts.request.id > marker,
        Some(marker) => facts.request.id < marker,
    };
    let mut rest = rows.into_iter().filter(after);
    let page: Vec<_> = rest.by_ref().take(QUEUE_MAX).collect();
    let next = rest
        .next()
        .and(page.last())
        .map(|(facts, ..)| facts.request.id.to_string());
    let items = page
        .iter()
        .map(|(facts, networks, clusters)| QueueRow {
            request: facts.wire(desk.caller.now),
            networks: *networks,
            clusters: *clusters,
        })
        .collect();
    reply::ok(&List {
        revision,
        total,
        items,
        next,
    })
}

/// `GET /portolan/v1/support/requests/{id}`.
pub async fn show(desk: Desk, path: Segments) -> Answer {
    let id: ShadowRequestId = path.id("id", "request")?;
    let (control, now, rights) = (desk.control(), desk.caller.now, desk.caller.overall);
    let page = control.read(|view| {
        let request = view.request(id)?;
        let project = view.project(request.meta.project)?;
        let networks: Vec<_> = view
            .networks(Some(project.id))
            .map(|network| NetworkFacts::of(view, network, rights))
            .collect();
        let clusters: Vec<_> = view
            .clusters(Some(project.id))
            .map(|cluster| ClusterFacts::of(view, cluster))
            .collect();
        let lives_on: Vec<_> = view
            .clusters(Some(project.id))
            .filter(|cluster| {
                view.network(cluster.network)
                    .is_some_and(|network| network.shadow_port.is_some())
            })
            .map(|cluster| Ref {
                id: cluster.id,
                name: cluster.name.clone(),
            })
            .collect();
        let earlier: Vec<_> = view
            .requests_of(project.id)
            .rev()
            .filter(|other| other.id != id)
            .map(|other| RequestFacts::listed(view, other, Audience::Provider))
            .collect();
        let facts = RequestFacts::whole(view, request, Audience::Provider);
        let quotas = quotas::rows(view, project, control.quotas(), rights);
        Some((view.head(), facts, networks, clusters, lives_on, earlier, quotas))
    });
    let (revision, facts, networks, clusters, lives_on, earlier, quotas) =
        page.ok_or_else(|| Failure::not_found("request", path.text("id")))?;
    reply::ok(&SupportRequest {
        revision,
        request: facts.wire(now),
        networks: networks.iter().map(NetworkFacts::row).collect(),
        clusters: clusters.iter().filter_map(ClusterFacts::row).collect(),
        quotas,
        earlier: earlier.iter().map(|facts| facts.wire(now)).collect(),
        lives_on,
    })
}

/// Asks the writer for a step, and answers with the request.
async fn step(desk: &Desk, path: &Segments, step: Step, body: &[u8]) -> Answer {
    let command = Command::OnRequest {
        request: path.id("id", "request")?,
        side: Side::Support,
        step,
    };
    let caller = &desk.caller;
    let answer = |outcome: Outcome| {
        let answer = desk
            .control()
            .read(|view| requests::answer(view, &outcome.objects, Audience::Provider, caller.now))?;
        reply::ok(&answer)
    };
    caller.create(body, || Ok(command), answer).await
}

/// `POST …/support/requests/{id}/take`.
pub async fn take(desk: Desk, path: Segments) -> Answer {
    step(&desk, &path, Step::Take, &[]).await
}

/// `POST …/support/requests/{id}/messages`.
pub async fn message(desk: Desk, path: Segments, body: Body) -> Answer {
    let asked: PostMessage = body.read()?;
    step(&desk, &path, requests::message(&asked)?, &body.0).await
}

/// `POST …/support/requests/{id}/ask`.
pub async fn ask(desk: Desk, path: Segments, body: Body) -> Answer {
    let asked: PostMessage = body.read()?;
    if asked.internal {
        return Err(Refusal::NotOneOf {
            field: "internal".to_owned(),
            given: "true".to_owned(),
            allowed: "false".to_owned(),
        }
        .into());
    }
    let text = check::paragraphs("text", &asked.text, 1, TEXT_MAX)?;
    step(&desk, &path, Step::Ask { text }, &body.0).await
}

/// `POST …/support/requests/{id}/grant`.
pub async fn grant(desk: Desk, path: Segments, body: Body) -> Answer {
    let asked: GrantRequest = if body.0.is_empty() {
        GrantRequest::default()
    } else {
        body.read()?
    };
    let until = match &asked.until {
        None => None,
        Some(text) => {
            let time: Time = text.trim().parse().map_err(|_| Refusal::NotATime {
                field: "until".to_owned(),
                given: check::shortened(text),
            })?;
            Some(time.0)
        }
    };
    let message = match &asked.message {
        None => None,
        Some(text) => Some(check::paragraphs("message", text, 0, TEXT_MAX)?).filter(|text| !text.is_empty()),
    };
    step(&desk, &path, Step::Grant { until, message }, &body.0).await
}

/// `POST …/support/requests/{id}/decline`.
pub async fn decline(desk: Desk, path: Segments, body: Body) -> Answer {
    let asked: Verdict = body.read()?;
    let message = requests::verdict(&asked.message)?;
    step(&desk, &path, Step::Decline { message }, &body.0).await
}

/// `POST …/support/requests/{id}/revoke`.
pub async fn revoke(desk: Desk, path: Segments, body: Body) -> Answer {
    let asked: Verdict = body.read()?;
    let message = requests::verdict(&asked.message)?;
    step(&desk, &path, Step::Revoke { message }, &body.0).await
}

/// `GET /portolan/v1/support/projects?q=`: by name, those whose name or id has this in it.
pub async fn projects(desk: Desk, OriginalUri(uri): OriginalUri) -> Result<Response, Failure> {
    let words = asked(&uri)?.q.unwrap_or_default().trim().to_lowercase();
    let now = desk.caller.now;
    let (revision, total, items) = desk.control().read(|view| {
        let plain = words.replace('-', "");
        let fits = |name: &str, id: ProjectId| {
            name.to_lowercase().contains(&words) || (!plain.is_empty() && id.to_string().contains(&plain))
        };
        let mut found: Vec<_> = view
            .projects()
            .filter(|project| fits(&project.name, project.id))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let row = |project: &portolan_core::model::Project| ProjectRow {
            id: project.id,
            name: project.name.clone(),
            networks: view.network_count(project.id),
            clusters: view.cluster_count(project.id),
            granted: view.grant_holds(project.id, now),
        };
        let items: Vec<ProjectRow> = found.iter().take(PROJECTS_MAX).map(|project| row(project)).collect();
        (view.head(), u64::try_from(found.len()).unwrap_or(u64::MAX), items)
    });
    reply::ok(&List {
        revision,
        total,
        items,
        next: None,
    })
}
