//! Who did what, when, through what: the audit of a project, and of all.
//!
//! It is read from the store, newest first, off the async threads; names come from the view. Customers never read of
//! hidden ports or internal notes, nor the names of support.

mod fields;

use axum::extract::{OriginalUri, Query};
use axum::http::Uri;
use portolan_core::audience::Audience;
use portolan_core::command::Actor;
use portolan_core::fields::moment;
use portolan_core::kinds::losses::LossesId;
use portolan_core::model::{Assignment, Key, Object, ObjectKind, Role};
use portolan_core::view::View;
use portolan_shared::check;
use portolan_shared::ids::{NodeId, ProjectId, UserId};
use portolan_shared::losses::LossKind;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{AuditEntry, AuditKind, AuditObject, AuditOp, List, Through, Who};
use portolan_store::AuditAsked;
use serde::de::DeserializeOwned;

use crate::api::Api;
use crate::api::context::{Call, Desk};
use crate::api::error::{Answer, Failure};
use crate::api::reply;
use crate::api::request_id::RequestId;
use crate::api::v1::rows::lost;
use crate::control::Control;

/// Entries of a page, if nothing is said.
const PAGE: usize = 100;
/// Most entries of a page.
const PAGE_MAX: usize = 500;

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Params {
    object: Option<String>,
    kind: Option<String>,
    op: Option<String>,
    who: Option<String>,
    through: Option<String>,
    project: Option<String>,
    marker: Option<String>,
    limit: Option<String>,
}

/// The reader of the audit; decides which entries, fields and names are shown.
#[derive(Clone, Copy)]
struct Reader {
    user: UserId,
    project: Option<ProjectId>,
    audience: Audience,
}

/// `GET …/projects/{project}/audit`.
pub async fn of_project(call: Call, OriginalUri(uri): OriginalUri) -> Answer {
    let reader = Reader {
        user: call.caller.user.id,
        project: Some(call.project.id),
        audience: if call.rights.sees_everything() {
            Audience::Provider
        } else {
            Audience::Everyone
        },
    };
    answer(&call.caller.api, reader, params(&uri)?).await
}

/// `GET /portolan/v1/support/audit`.
pub async fn of_all(desk: Desk, OriginalUri(uri): OriginalUri) -> Answer {
    let params = params(&uri)?;
    let project = match params.project.as_deref() {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| Refusal::NotAnId {
            field: "project".to_owned(),
            given: check::shortened(text),
        })?),
    };
    let reader = Reader {
        user: desk.caller.user.id,
        project,
        audience: Audience::Provider,
    };
    answer(&desk.caller.api, reader, params).await
}

fn params(uri: &Uri) -> Result<Params, Refusal> {
    let Query(params) = Query::<Params>::try_from_uri(uri).map_err(|_| Refusal::Malformed {
        detail: "its query is no query".to_owned(),
    })?;
    if let Some(length) = params.who.as_ref().map(|who| who.chars().count())
        && length > check::NAME_MAX
    {
        return Err(Refusal::TooLong {
            field: "who".to_owned(),
            max: check::NAME_MAX,
            length,
        });
    }
    Ok(params)
}

async fn answer(api: &Api, reader: Reader, params: Params) -> Answer {
    let control = &api.control;
    let Some(asked) = asked(control, reader, params)? else {
        return list(control, Vec::new(), None);
    };
    let reading = control.clone();
    let page = api.workers.run(move || reading.audit(&asked));
    let page = page.await.map_err(|_| Failure::Internal)??;
    let entries = control.read(|view| {
        page.entries
            .iter()
            .filter_map(|entry| written(view, entry, reader))
            .collect()
    });
    list(control, entries, page.next)
}

/// `total` counts the page: counting all would cost reading all.
fn list(control: &Control, items: Vec<AuditEntry>, next: Option<u64>) -> Answer {
    reply::ok(&List {
        revision: control.read(View::head),
        total: u64::try_from(items.len()).unwrap_or(u64::MAX),
        items,
        next: next.map(|revision| revision.to_string()),
    })
}

/// A word of the wire's.
fn word<T: DeserializeOwned>(field: &str, given: &Option<String>, allowed: &str) -> Result<Option<T>, Refusal> {
    let Some(text) = given.as_deref() else {
        return Ok(None);
    };
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map(Some).map_err(|_| Refusal::NotOneOf {
        field: field.to_owned(),
        given: check::shortened(text),
        allowed: allowed.to_owned(),
    })
}

fn number(field: &str, given: &Option<String>) -> Result<Option<u64>, Refusal> {
    let Some(text) = given.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| Refusal::WrongType {
        field: field.to_owned(),
        expected: "a whole number".to_owned(),
    })
}

/// The words of all kinds that are audited.
fn kinds() -> String {
    let audited = ObjectKind::ALL.iter().filter_map(|kind| kind.audit());
    let words = audited.filter_map(|kind| match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(word)) => Some(word),
        _ => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

/// What the store is asked; `None` if nothing can fit.
fn asked(control: &Control, reader: Reader, params: Params) -> Result<Option<AuditAsked>, Refusal> {
    let kind: Option<AuditKind> = word("kind", &params.kind, &kinds())?;
    let kind = match kind {
        None => None,
        Some(kind) => match ObjectKind::ALL.iter().find(|known| known.audit() == Some(kind)) {
            Some(known) => Some(*known),
            None => return Ok(None),
        },
    };
    let op: Option<AuditOp> = word("op", &params.op, "create, update, delete")?;
    let through: Option<Through> = word("through", &params.through, "console, api, agent, system")?;
    let object = match params.object.as_deref() {
        None | Some("") => None,
        Some(text) => Some(object_key(text).ok_or_else(|| Refusal::NotAnId {
            field: "object".to_owned(),
            given: check::shortened(text),
        })?),
    };
    let limit = number("limit", &params.limit)?.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let before = number("marker", &params.marker)?.map(|revision| revision.min(1 << 42));
    let mut asked = AuditAsked {
        project: reader.project,
        audience: reader.audience,
        object,
        kind,
        op,
        actor: None,
        by_provider: None,
        through,
        before,
        limit: limit.clamp(1, PAGE_MAX),
    };
    let Some(name) = params.who.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(Some(asked));
    };
    let found = control.read(|view| actor(view, name, reader));
    match found {
        Some(By::Provider) => asked.by_provider = Some(true),
        Some(By::Actor(actor)) => {
            asked.actor = Some(actor);
            // Customers cannot search for what support did by the name of who did it.
            asked.by_provider = (reader.audience == Audience::Everyone).then_some(false);
        }
        None => return Ok(None),
    }
    Ok(Some(asked))
}

/// Whom a reader asks for.
enum By {
    Actor(Actor),
    Provider,
}

/// A user by name, a node by its id, `system`, or `provider`. Customers find only those they know.
fn actor(view: &View, name: &str, reader: Reader) -> Option<By> {
    let known = |id: UserId| {
        let colleague = reader
            .project
            .is_some_and(|project| !view.roles(id, project).is_empty());
        reader.audience == Audience::Provider || id == reader.user || colleague
    };
    if let Some(user) = view.user_by_name(name).filter(|user| known(user.id)) {
        return Some(By::Actor(Actor::User(user.id)));
    }
    match name {
        "system" => Some(By::Actor(Actor::System)),
        "provider" => Some(By::Provider),
        other => {
            let id: NodeId = other.parse().ok()?;
            Some(By::Actor(Actor::Node(id)))
        }
    }
}

/// An object's key as the store has it: an id, `project/user/role`, or `cluster/node/what was lost`.
fn object_key(text: &str) -> Option<Vec<u8>> {
    if let Ok(id) = text.parse::<NodeId>() {
        return Some(id.as_bytes().to_vec());
    }
    let mut parts = text.split('/');
    let (first, second, word) = (parts.next()?, parts.next()?, parts.next()?);
    let key = match LossKind::of_word(word) {
        Some(kind) => Key::Losses(LossesId {
            cluster: first.parse().ok()?,
            node: second.parse().ok()?,
            kind,
        }),
        None => Key::Assignment(Assignment {
            user: second.parse().ok()?,
            project: first.parse().ok()?,
            role: Role::ALL.into_iter().find(|known| known.name() == word)?,
        }),
    };
    parts.next().is_none().then(|| key.bytes())
}

/// An entry as its reader may see it; `None` if nothing of it is left.
fn written(view: &View, entry: &portolan_store::AuditEntry, reader: Reader) -> Option<AuditEntry> {
    let objects: Vec<AuditObject> = entry
        .changes
        .iter()
        .filter_map(|change| {
            let fields = fields::changes(change.op, &change.object, change.before.as_ref(), reader.audience);
            // Only what nobody reads has changed.
            if change.op == AuditOp::Update && fields.is_empty() {
                return None;
            }
            // They go with their node, which is told.
            if change.op == AuditOp::Delete && matches!(change.object, Object::Losses(_)) {
                return None;
            }
            Some(AuditObject {
                kind: change.object.kind().audit()?,
                id: change.object.key().text(),
                name: change.object.label(),
                op: change.op,
                said: match &change.object {
                    Object::Losses(losses) => Some(lost(&losses.newest)),
                    _ => None,
                },
                fields,
            })
        })
        .collect();
    if objects.is_empty() {
        return None;
    }
    let who = match entry.actor {
        Actor::System => Who::System,
        Actor::Node(id) => Who::Node(view.node(id).map_or_else(|| id.to_string(), |node| node.name.clone())),
        Actor::User(id) if reader.audience == Audience::Everyone && entry.by_provider && id != reader.user => {
            Who::Provider
        }
        // A user who is gone has an id still.
        Actor::User(id) => Who::User(view.user(id).map_or_else(|| id.to_string(), |user| user.name.clone())),
    };
    Some(AuditEntry {
        revision: entry.revision,
        at: moment(entry.at),
        project: match reader.audience {
            Audience::Everyone => reader.project,
            Audience::Provider => entry.changes.iter().find_map(|change| change.project),
        },
        who,
        through: entry.via.through,
        request_id: entry.via.request.map(|uuid| RequestId::of(uuid).0.to_string()),
        objects,
        more: entry.more,
    })
}
