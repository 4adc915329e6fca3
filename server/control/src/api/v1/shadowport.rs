//! The customer's side of shadowport requests.

use axum::response::Response;
use portolan_core::access::needs;
use portolan_core::audience::Audience;
use portolan_core::command::{Command, NewShadowRequest, Outcome, Step};
use portolan_core::model::Role;
use portolan_shared::check;
use portolan_shared::ids::ShadowRequestId;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{FileRequest, NODES_MAX, One, PostMessage, ShadowportPage, Side, TEXT_MAX, TEXT_MIN};

use super::requests::{self, RequestFacts};
use crate::api::context::{Call, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::Body;
use crate::api::reply;

/// What a caller may know.
fn audience(call: &Call) -> Audience {
    if call.rights.sees_everything() {
        Audience::Provider
    } else {
        Audience::Everyone
    }
}

/// The request in the path, if it is the project's.
fn found(call: &Call, path: &Segments) -> Result<(u64, RequestFacts), Failure> {
    let id: ShadowRequestId = path.id("id", "request")?;
    let facts = call.control().read(|view| {
        let request = view
            .request(id)
            .filter(|request| request.meta.project == call.project.id)?;
        Some((view.head(), RequestFacts::whole(view, request, audience(call))))
    });
    facts.ok_or_else(|| Failure::not_found("request", path.text("id")))
}

/// `GET …/shadowport`.
pub async fn list(call: Call) -> Answer {
    let now = call.caller.now;
    let (revision, granted, facts) = call.control().read(|view| {
        let requests = view.requests_of(call.project.id).rev();
        let facts: Vec<_> = requests
            .map(|request| RequestFacts::listed(view, request, audience(&call)))
            .collect();
        (view.head(), view.grant_holds(call.project.id, now), facts)
    });
    reply::ok(&ShadowportPage {
        revision,
        granted,
        open: facts
            .iter()
            .find(|facts| facts.request.state.open())
            .map(|facts| facts.request.id),
        items: facts.iter().map(|facts| facts.wire(now)).collect(),
    })
}

/// `GET …/shadowport/{id}`.
pub async fn show(call: Call, path: Segments) -> Answer {
    let (revision, facts) = found(&call, &path)?;
    reply::ok(&One {
        revision,
        item: facts.wire(call.caller.now),
    })
}

/// `POST …/shadowport`.
pub async fn create(call: Call, body: Body) -> Answer {
    call.to_write("file requests")?;
    let asked: FileRequest = body.read()?;
    let purpose = check::paragraphs("purpose", &asked.purpose, TEXT_MIN, TEXT_MAX)?;
    if !(1..=NODES_MAX).contains(&asked.nodes) {
        return Err(Refusal::OutOfRange {
            field: "nodes".to_owned(),
            value: i64::from(asked.nodes),
            min: 1,
            max: i64::from(NODES_MAX),
        }
        .into());
    }
    let new = NewShadowRequest {
        project: call.project.id,
        purpose,
        nodes: asked.nodes,
        network: asked.network,
        quotes: asked.quotes,
    };
    let filed = |outcome: Outcome| reply::created(&answer(&call, &outcome)?);
    call.create(&body.0, || Ok(Command::FileRequest(new)), filed).await
}

/// `POST …/shadowport/{id}/messages`.
pub async fn message(call: Call, path: Segments, body: Body) -> Answer {
    let (_, facts) = found(&call, &path)?;
    call.to_write("write in requests")?;
    let asked: PostMessage = body.read()?;
    if asked.internal {
        return Err(needs(Role::Support, "write internal notes here").into());
    }
    let command = on(&call, facts.request.id, requests::message(&asked)?);
    let said = |outcome: Outcome| reply::ok(&answer(&call, &outcome)?);
    call.create(&body.0, || Ok(command), said).await
}

/// `POST …/shadowport/{id}/withdraw`.
pub async fn withdraw(call: Call, path: Segments) -> Result<Response, Failure> {
    let (_, facts) = found(&call, &path)?;
    call.to_write("withdraw requests")?;
    let outcome = call.write(on(&call, facts.request.id, Step::Withdraw)).await?;
    reply::ok(&answer(&call, &outcome)?)
}

/// A step on the customer's side; an administrator without a role in the project is the provider's.
fn on(call: &Call, request: ShadowRequestId, step: Step) -> Command {
    let roles = call
        .control()
        .read(|view| view.roles(call.caller.user.id, call.project.id));
    Command::OnRequest {
        request,
        side: if roles.is_empty() {
            Side::Support
        } else {
            Side::Customer
        },
        step,
    }
}

fn answer(call: &Call, outcome: &Outcome) -> Result<One<portolan_shared::v1::ShadowRequest>, Failure> {
    let now = call.caller.now;
    call.control()
        .read(|view| requests::answer(view, &outcome.objects, audience(call), now))
}
