//! A resource of the Networking API: what is its own, and what all have alike. A request is answered by one of the five
//! functions at the end.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::OriginalUri;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use portolan_core::access::Owned;
use portolan_core::command::{Command, Outcome};
use portolan_core::model::{self, Kind, Stored};
use portolan_core::view::View;
use serde::Serialize;
use uuid::Uuid;

use super::list::{Listed, Query};
use super::many::{Asked, Many, One};
use super::{Described, attributes};
use crate::api::context::{Call, Segments};
use crate::api::error::{Answer, Failure};
use crate::api::fields::{Body, Fields};
use crate::api::reply;
use crate::api::route::{Route, delete, get, post, put};
use crate::api::v1::operation::Operation;
use crate::identity::rights::Rights;

/// Names of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Of one: `network`.
    pub one: &'static str,
    /// Of several: `networks`.
    pub many: &'static str,
    /// Of links to other pages.
    pub links: &'static str,
    /// Path of all, below `/v2.0`.
    pub path: &'static str,
    /// Path of one.
    pub path_of_one: &'static str,
    /// Neutron's type of the error that there is none.
    pub not_found: &'static str,
}

/// A resource.
pub trait Resource: Listed {
    /// What its objects are known by.
    type Id: model::Id + FromStr + Display + From<Uuid> + Send;
    /// What is stored.
    type Kind: Stored<Id = Self::Id> + Owned + Send + Sync;
    /// What answers need of other objects.
    type Beside: Send + Sync;
    /// As on the wire.
    type Wire<'a>: Serialize;
    /// A new one, checked.
    type New: Send;
    /// What changes, checked.
    type Change: Send;

    /// What it is called in paths, bodies and errors.
    const NAMES: Names;
    /// The extension that it is of, if it is not of the core.
    const EXTENSION: Option<Described>;
    /// Whether a create may make several.
    const BULK: bool;

    /// Takes out of the view what the answers about these objects need.
    fn beside<'a>(view: &View, objects: impl Iterator<Item = &'a Arc<Self::Kind>>) -> Self::Beside;

    /// An object with what its answer needs.
    fn item<'a>(object: &'a Arc<Self::Kind>, beside: &'a Self::Beside) -> Self::Item<'a>;

    /// What goes on the wire, for a reader with these rights.
    fn wire<'a>(item: &Self::Item<'a>, rights: Rights) -> Self::Wire<'a>;

    /// Reads a new one; attributes that only the server sets are out already.
    ///
    /// # Errors
    /// Whatever is wrong in the body by itself.
    fn read_new(call: &Call, fields: &mut Fields) -> Result<Self::New, Failure>;

    /// Reads what is to change of one.
    ///
    /// # Errors
    /// Whatever is wrong in the body by itself.
    fn read_change(call: &Call, item: &Self::Item<'_>, fields: &mut Fields) -> Result<Self::Change, Failure>;

    /// The command that makes them.
    fn create(new: Vec<Self::New>) -> Command;

    /// The command that changes one.
    fn update(id: Self::Id, change: Self::Change) -> Command;

    /// The command that deletes one.
    fn delete(id: Self::Id) -> Command;

    /// What `/portolan/v1` has of it.
    fn operations() -> Vec<Operation>;

    /// `GET` of a list: [`list`], but for what there may be a million of.
    fn list(call: Call, headers: HeaderMap, uri: OriginalUri) -> impl Future<Output = Answer> + Send;
}

/// A resource of which there are so few that a list looks at all that may be in it, under one lock.
pub trait Few: Resource {
    /// Objects that a list may be of: those of the narrowest index there is for its filters.
    fn found<'a>(
        call: &Call,
        view: &'a View,
        query: &Query<Self>,
    ) -> Box<dyn Iterator<Item = &'a Arc<Self::Kind>> + 'a>;
}

/// A resource in the list of all.
pub struct Listing {
    /// What it is called in paths, bodies and errors.
    pub names: Names,
    /// The kind, as refusals call it.
    pub word: &'static str,
    /// The extension that it is of.
    pub extension: Option<Described>,
    /// Its five routes.
    pub routes: fn() -> [Route; 5],
    /// What `/portolan/v1` has of it.
    pub operations: fn() -> Vec<Operation>,
}

impl Listing {
    /// Of a resource.
    pub const fn of<R: Resource>() -> Self {
        Self {
            names: R::NAMES,
            word: R::Kind::WORD,
            extension: R::EXTENSION,
            routes: routes::<R>,
            operations: R::operations,
        }
    }
}

fn routes<R: Resource>() -> [Route; 5] {
    let Names { path, path_of_one, .. } = R::NAMES;
    [
        get(path, R::list),
        post(path, create::<R>),
        get(path_of_one, show::<R>),
        put(path_of_one, update::<R>),
        delete(path_of_one, destroy::<R>),
    ]
}

/// What is asked for, as sentences of refusals have it: "create networks".
fn action<R: Resource>(verb: &str) -> String {
    format!("{verb} {}", R::NAMES.many.replace('_', " "))
}

/// The object with this id, if the caller sees it.
///
/// # Errors
/// If not.
pub fn visible<R: Resource>(call: &Call, view: &View, id: R::Id) -> Result<Arc<R::Kind>, Failure> {
    let found = view.get::<R::Kind>(id).filter(|object| call.reads(&***object));
    found
        .cloned()
        .ok_or_else(|| Failure::not_found(R::Kind::WORD, &id.to_string()))
}

/// The object that a list goes on after, if one is named.
///
/// # Errors
/// If there is no such object.
pub fn marked<R: Resource>(call: &Call, query: &Query<R>) -> Result<Option<Arc<R::Kind>>, Failure> {
    let Some(marker) = &query.marker else { return Ok(None) };
    let id = marker.parse().map_err(|_| Failure::not_found(R::Kind::WORD, marker))?;
    call.control().read(|view| visible::<R>(call, view, id)).map(Some)
}

fn found<R: Resource>(call: &Call, path: &Segments) -> Result<(Arc<R::Kind>, R::Beside), Failure> {
    let id = path.id("id", R::Kind::WORD)?;
    call.control().read(|view| {
        let object = visible::<R>(call, view, id)?;
        let beside = R::beside(view, std::iter::once(&object));
        Ok((object, beside))
    })
}

/// Those of a kind among what a command made, in the order asked.
fn made<R: Resource>(call: &Call, outcome: Outcome, count: usize) -> (Vec<Arc<R::Kind>>, R::Beside) {
    let objects: Vec<Arc<R::Kind>> = outcome
        .objects
        .into_iter()
        .filter_map(<R::Kind as Stored>::of)
        .take(count)
        .collect();
    let beside = call.control().read(|view| R::beside(view, objects.iter()));
    (objects, beside)
}

/// The body of an answer about one.
fn one<'a, R: Resource>(call: &Call, item: &R::Item<'a>, fields: &'a [String]) -> One<'a, R::Wire<'a>> {
    One {
        key: R::NAMES.one,
        value: R::wire(item, call.rights),
        fields,
    }
}

/// A list of what there is little of.
///
/// # Errors
/// If the query is wrong.
pub async fn list<R: Few>(call: Call, headers: HeaderMap, OriginalUri(uri): OriginalUri) -> Answer {
    let query = Query::<R>::read(&uri)?;
    let marked = marked(&call, &query)?;
    let (objects, beside) = call.control().read(|view| {
        let found: Box<dyn Iterator<Item = &Arc<R::Kind>>> = match query.ids("id") {
            Some(ids) => Box::new(ids.into_iter().filter_map(|id| view.get::<R::Kind>(id.into()))),
            None => R::found(&call, view, &query),
        };
        let seen = found.filter(|object| call.reads(&***object));
        let objects: Vec<Arc<R::Kind>> = seen.cloned().collect();
        let beside = R::beside(view, objects.iter().chain(&marked));
        (objects, beside)
    });
    let items = objects.iter().map(|object| R::item(object, &beside));
    let items = items.filter(|item| query.fits(item, "")).collect();
    let marked = marked.as_ref().map(|object| R::item(object, &beside));
    let items = query.page(items, marked.as_ref());
    let asked = Asked {
        api: &call.caller.api,
        headers: &headers,
        uri: &uri,
        query: &query,
    };
    Ok(reply::bytes(StatusCode::OK, asked.page(&items, call.rights)?))
}

async fn show<R: Resource>(call: Call, path: Segments, OriginalUri(uri): OriginalUri) -> Answer {
    let (object, beside) = found::<R>(&call, &path)?;
    let query = Query::<R>::read(&uri)?;
    reply::ok(&one::<R>(&call, &R::item(&object, &beside), &query.fields))
}

async fn create<R: Resource>(call: Call, body: Body) -> Answer {
    call.to_write(&action::<R>("create"))?;
    let (many, bulk) = match R::BULK {
        true => body.one_or_many(R::NAMES.one, R::NAMES.many)?,
        false => (vec![body.one(R::NAMES.one)?], false),
    };
    let count = many.len();
    let command = || {
        let read = |mut fields: Fields| {
            attributes::check::<R>(&mut fields, false)?;
            let new = R::read_new(&call, &mut fields)?;
            fields.end()?;
            Ok(new)
        };
        let new: Result<Vec<R::New>, Failure> = many.into_iter().map(read).collect();
        Ok(R::create(new?))
    };
    let answer = |outcome: Outcome| {
        let (objects, beside) = made::<R>(&call, outcome, count);
        match objects.as_slice() {
            [object] if !bulk => reply::created(&one::<R>(&call, &R::item(object, &beside), &[])),
            objects if bulk => reply::created(&Many::made(R::NAMES.many, objects, |object| {
                R::wire(&R::item(object, &beside), call.rights)
            })),
            _ => Err(Failure::Internal),
        }
    };
    call.create(&body.0, command, answer).await
}

async fn update<R: Resource>(call: Call, path: Segments, body: Body) -> Answer {
    let (object, beside) = found::<R>(&call, &path)?;
    call.to_write(&action::<R>("change"))?;
    let mut fields = body.one(R::NAMES.one)?;
    attributes::check::<R>(&mut fields, true)?;
    let change = R::read_change(&call, &R::item(&object, &beside), &mut fields)?;
    fields.end()?;
    let outcome = call.write(R::update(object.id(), change)).await?;
    let (objects, beside) = made::<R>(&call, outcome, 1);
    let object = objects.first().ok_or(Failure::Internal)?;
    reply::ok(&one::<R>(&call, &R::item(object, &beside), &[]))
}

async fn destroy<R: Resource>(call: Call, path: Segments) -> Result<Response, Failure> {
    let (object, _) = found::<R>(&call, &path)?;
    call.to_write(&action::<R>("delete"))?;
    call.write(R::delete(object.id())).await?;
    Ok(reply::nothing())
}
