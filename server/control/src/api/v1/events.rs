//! `GET /portolan/v1/events`: what changes, as it changes (server-sent events): in a project, or, for
//! support and administrators, in all of them.
//!
//! A stream holds a place in the feed and pulls from there, so that a slow reader holds up nobody.
//! It resumes after the revision in `Last-Event-ID` or `after`; what is gone by then is answered
//! with `reset`. Rights are looked at again for every commit and every mark: a stream ends with its
//! session or role, and with the server. What customers may not learn of ([`Change::audience`]) is told
//! to support and administrators alone.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{OriginalUri, Query};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use portolan_core::audience::Audience;
use portolan_core::change::{self, Change, Commit};
use portolan_core::command::Actor;
use portolan_core::event::Event;
use portolan_core::model::{Object, Revision, Session};
use portolan_core::view::View;
use portolan_shared::ids::ProjectId;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{ChangeEvent, Changed, Kind, Op, ProgressEvent, Side};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api::Api;
use crate::api::context::{Caller, alive};
use crate::api::error::Failure;
use crate::control::Control;
use crate::feed::{Next, Subscription};
use crate::identity::rights::{overall, rights};
use crate::places::{Full, Place, Places};

/// How often a stream says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// Bytes of events put into one write.
const CHUNK: usize = 32 * 1024;

#[derive(serde::Deserialize)]
struct Asked {
    project: Option<String>,
    after: Option<String>,
}

/// Streams at once of one session or token.
const PER_SESSION: usize = 16;
/// Streams at once of a project, by everybody; and of those who follow every project.
const PER_PROJECT: usize = 256;

/// How many streams there are, so that no one tenant's slow down everybody's writes.
#[derive(Clone, Default)]
pub struct Streams(Places<Share>);

/// Of whose streams there are only so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Share {
    Session([u8; 32]),
    Project(Option<ProjectId>),
}

impl Streams {
    fn place(&self, session: [u8; 32], project: Option<ProjectId>) -> Result<Place<Share>, Refusal> {
        let shares = [
            (Share::Session(session), PER_SESSION),
            (Share::Project(project), PER_PROJECT),
        ];
        self.0.take(shares).map_err(|Full { most }| Refusal::TooMany {
            field: "events".to_owned(),
            max: most,
            count: most + 1,
        })
    }
}

/// One reader.
struct Reader {
    _place: Place<Share>,
    api: Arc<Api>,
    session: Arc<Session>,
    /// `None`: every project.
    project: Option<ProjectId>,
    feed: Subscription,
    mark: Interval,
    ending: watch::Receiver<bool>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.api.metrics.stream(-1);
    }
}

/// What a reader may learn of now; `None`: of nothing any more.
fn allowed(
    control: &Control,
    view: &View,
    session: &Session,
    project: Option<ProjectId>,
    now: i64,
) -> Option<Audience> {
    if control.session(view, &session.hash).is_none() || !alive(view, session, now) {
        return None;
    }
    let rights = match project {
        Some(project) => rights(view, session, project),
        None => overall(view, session),
    };
    match (rights.sees_everything(), project) {
        (true, _) => Some(Audience::Provider),
        (false, Some(_)) => rights.read.then_some(Audience::Everyone),
        (false, None) => None,
    }
}

/// `GET /portolan/v1/events[?project=ID][&after=REVISION]`.
pub async fn stream(caller: Caller, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Result<Response, Failure> {
    let Query(asked) = Query::<Asked>::try_from_uri(&uri).map_err(|_| Refusal::Malformed {
        detail: "its query is no query".to_owned(),
    })?;
    let project = match asked.project {
        None => {
            caller.overall.to_support("follow every project")?;
            None
        }
        Some(id) => Some(id.parse().map_err(|_| Failure::not_found("project", &id))?),
    };
    let Caller { api, session, now, .. } = caller;
    if let Some(id) = project {
        let seen =
            |view: &View| view.project(id).is_some() && allowed(&api.control, view, &session, project, now).is_some();
        if !api.control.read(seen) {
            return Err(Failure::not_found("project", &id.to_string()));
        }
    }
    let last = headers
        .get("last-event-id")
        .map(|value| value.to_str().unwrap_or_default().to_owned());
    let after = match last.filter(|id| !id.is_empty()).or(asked.after) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Refusal::WrongType {
            field: "after".to_owned(),
            expected: "a revision".to_owned(),
        })?),
    };
    let place = api.streams.place(session.hash, project)?;
    let mut mark = interval(PROGRESS);
    mark.set_missed_tick_behavior(MissedTickBehavior::Delay);
    api.metrics.stream(1);
    let reader = Reader {
        _place: place,
        feed: match project {
            None => api.control.feed().subscribe(after),
            Some(id) => api.control.feed().subscribe_project(id, after),
        },
        ending: api.ending.clone(),
        session,
        project,
        mark,
        api,
    };
    let events = stream::unfold(reader, async |mut reader| {
        let text = reader.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(text)), reader))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that buffer would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

impl Reader {
    /// The next events; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        loop {
            let mut text = String::new();
            let next = tokio::select! {
                biased;
                _ = self.ending.wait_for(|ending| *ending) => return None,
                _ = self.mark.tick() => None,
                next = self.feed.next() => Some(next),
            };
            match next.or_else(|| self.feed.try_next()) {
                None => {
                    // Nobody woke it for others' commits: that looked how far it is.
                    self.allowed()?;
                    write(
                        &mut text,
                        "progress",
                        &ProgressEvent {
                            revision: self.feed.cursor(),
                        },
                        self.feed.cursor(),
                    );
                }
                Some(next) => {
                    let mut next = Some(next);
                    while let Some(now) = next {
                        if !self.tell(&mut text, now) {
                            return (!text.is_empty()).then_some(text);
                        }
                        next = if text.len() < CHUNK { self.feed.try_next() } else { None };
                    }
                }
            }
            if !text.is_empty() {
                return Some(text);
            }
        }
    }

    fn allowed(&self) -> Option<Audience> {
        let now = self.api.control.now();
        self.api
            .control
            .read(|view| allowed(&self.api.control, view, &self.session, self.project, now))
    }

    /// Writes what the reader may see of it; false at the end of the stream.
    fn tell(&self, text: &mut String, next: Next) -> bool {
        match next {
            Next::Closed => false,
            Next::Reset { head, .. } => {
                write(text, "reset", &ProgressEvent { revision: head }, head);
                self.allowed().is_some()
            }
            Next::Commit(commit) => {
                let Some(audience) = self.allowed() else {
                    return false;
                };
                let changes = self.changes(&commit, audience);
                if !changes.is_empty() {
                    let revision = commit.revision;
                    write(text, "change", &ChangeEvent { revision, changes }, revision);
                }
                true
            }
        }
    }

    fn changes(&self, commit: &Commit, audience: Audience) -> Vec<Changed> {
        let mine: Vec<&Change> = commit
            .changes
            .iter()
            .filter(|change| change.op != change::Op::Quiet)
            .filter(|change| self.concerned(change, commit.revision, audience))
            .collect();
        if mine.is_empty() {
            return Vec::new();
        }
        let actor = self.actor(commit.actor, audience);
        let mut told: Vec<Changed> = Vec::with_capacity(mine.len());
        for change in mine {
            let actor = actor.as_deref().filter(|_| known(change, audience));
            let Some(mut changed) = changed(change, actor) else {
                continue;
            };
            if self.project.is_none() {
                changed.project = change.project;
            }
            // A request and what is said in its thread are one thing.
            if changed.kind == Kind::Request && told.iter().any(|other| other.id == changed.id) {
                continue;
            }
            told.push(changed);
        }
        told
    }

    fn concerned(&self, change: &Change, revision: Revision, audience: Audience) -> bool {
        let Some(project) = self.project else { return true };
        if change.project == Some(project) {
            return change.audience(revision) <= audience;
        }
        // A hidden port is the provider's; the network it is in is the project's.
        audience == Audience::Provider && change.inside == Some(project)
    }

    /// Who did it, if the reader may know.
    fn actor(&self, actor: Actor, audience: Audience) -> Option<String> {
        let Actor::User(id) = actor else { return None };
        self.api.control.read(|view| {
            let colleague = self.project.is_some_and(|project| !view.roles(id, project).is_empty());
            let known = audience == Audience::Provider || id == self.session.user || colleague;
            view.user(id).filter(|_| known).map(|user| user.name.clone())
        })
    }
}

/// Whether a reader may know who made a change: customers read no names of support's, not of one who
/// has a role in the project either.
fn known(change: &Change, audience: Audience) -> bool {
    let side = match &change.object {
        Object::ShadowRequest(request) => request.side,
        Object::RequestMessage(message) => message.side,
        _ => Side::Customer,
    };
    audience == Audience::Provider || side == Side::Customer
}

fn write(text: &mut String, event: &str, data: &impl Serialize, id: u64) {
    // Writing to a String cannot fail, and our events serialise.
    let data = serde_json::to_string(data).unwrap_or_default();
    let _ = write!(text, "event: {event}\nid: {id}\ndata: {data}\n\n");
}

/// A change as a reader is told of it; `None` for kinds that no screen shows.
fn changed(change: &Change, actor: Option<&str>) -> Option<Changed> {
    let op = match change.op {
        change::Op::Put => Op::Put,
        change::Op::Delete => Op::Delete,
        change::Op::Quiet => return None,
    };
    let Event {
        kind,
        id,
        network,
        subnets,
    } = change.object.event(change.op, change.before.as_ref())?;
    Some(Changed {
        kind,
        op,
        id,
        project: None,
        network,
        subnets,
        cluster: change.cluster.filter(|_| network.is_some() || kind != Kind::Port),
        actor: actor.map(ToOwned::to_owned),
    })
}
