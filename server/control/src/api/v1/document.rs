//! The OpenAPI document of `/portolan/v1`, made of [`mod@super::routes`] and of the wire types' schemas.
//!
//! Pure: operations in, JSON out. Requests are described as they are read, answers as they are
//! written; a type that is both has one schema, because both say the same of it (a test).

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{ChangeEvent, Problem, ProgressEvent};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operation::{Form, Gives, Operation, Tag, Who};
use super::tidy;
use crate::api::context::COOKIE;
use crate::api::error::status_of;

/// Where all of it is, from the document's own address.
pub const SERVER: &str = "/portolan/v1";

/// What holds for everything.
const ABOUT: &str = "What the console reads and writes, and what OpenStack has no word for: clusters, nodes, requests, \
    the audit. Networks, subnets and ports are made and changed by OpenStack Networking (`/v2.0`); projects, users and \
    roles by OpenStack Identity (`/v3`).\n\n\
    **Log-in.** Programs get a token at `POST /v3/auth/tokens` and send it in `X-Auth-Token`. The console has a session \
    in a cookie; everything that writes with it sends the session's secret in `X-CSRF-Token`.\n\n\
    **Revisions.** Every answer carries the revision of the state it was made from, and every event the revision of its \
    commit: what is older than what one has is no news. Things carry the revision at which they last changed; with \
    `If-Match: revision_number=N` a delete is refused (412) if they changed since.\n\n\
    **Trying again.** A create with an `Idempotency-Key` happens once: the same key with the same body within 24 hours \
    is answered as the first time, whatever became of what was made since (an answer above 16 KiB, or with a secret in it, \
    is made anew of what was made). A project has a quota of such keys (`--quota-keys`, 10,000): beyond it a create with \
    a key is refused, since a forgotten key could make something twice; without a key it goes on.\n\n\
    **Refusals** are problem+json (RFC 9457). `code` is stable and from a closed list, `params` are the values of the \
    sentence in `detail`, `field` names what is wrong in the request. A client shows its own words by code and params; those that name holders (`holder`, `holders`, `owner`, `used_by`, \
    `what`) have a line for each: a word and a name, with where it is below the project if the caller finds it there (`port@ports/ID web-1`), a word (`gateway`), or a number and a word (`3 more`).\n\n\
    **Limits.** A request has at most 1 MiB, a header block 64 KiB.";

/// The document.
pub fn document(operations: &[Operation]) -> Value {
    let settings =
        || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = Schemas {
        asked: settings().for_deserialize().into_generator(),
        given: settings().for_serialize().into_generator(),
    };
    let problem = schemas.given.subschema_for::<Problem>().to_value();
    schemas.given.subschema_for::<ChangeEvent>();
    schemas.given.subschema_for::<ProgressEvent>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let method = operation.route.method.as_str().to_lowercase();
        paths
            .entry(operation.route.path)
            .or_default()
            .insert(method, describe(operation, &mut schemas));
    }
    let mut used: Vec<Tag> = Vec::new();
    for operation in operations {
        if !used.contains(&operation.tag) {
            used.push(operation.tag);
        }
    }
    let tags: Vec<Value> = used
        .iter()
        .map(|tag| json!({ "name": tag.name, "description": tag.about }))
        .collect();
    let errors: Map<String, Value> = Refusal::TABLE
        .iter()
        .map(|(code, _, sentence)| {
            let words = json!({ "status": status_of(code), "sentence": sentence });
            ((*code).to_owned(), words)
        })
        .collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portolan",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Networks, ports and clusters, and what is asked of support.",
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": SERVER }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "securitySchemes": {
                "token": {
                    "type": "apiKey", "in": "header", "name": "X-Auth-Token",
                    "description": "A token of `POST /v3/auth/tokens`, scoped to a project.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": COOKIE,
                    "description": "The console's session, of `POST /portolan/v1/session`.",
                },
                "csrf": {
                    "type": "apiKey", "in": "header", "name": "X-CSRF-Token",
                    "description": "The session's `csrf`, with everything that writes.",
                },
            },
            "responses": problems(&problem),
            "headers": {
                "RequestId": {
                    "description": "The id of this request in the log.",
                    "schema": { "type": "string" },
                },
                "RetryAfter": {
                    "description": "Seconds after which trying again may help.",
                    "schema": { "type": "string" },
                },
            },
            "parameters": parameters(),
        },
        "x-errors": errors,
    });
    tidy::tidy(&mut document);
    document
}

/// Schemas of what is asked and of what is given.
struct Schemas {
    asked: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    fn all(mut self) -> Map<String, Value> {
        let mut all = self.asked.take_definitions(true);
        all.extend(self.given.take_definitions(true));
        all
    }
}

/// What headers do, described once.
fn parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key with the same body within 24 hours is the same request: it answers what was made.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$" },
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "`revision_number=N`: refused with 412 if the thing is not at that revision any more.",
            "schema": { "type": "string", "pattern": "^revision_number=(0|[1-9][0-9]{0,17})$" },
        },
        "LastEventId": {
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "Where a stream broke: the id of the last event that was got. Wins over `after`.",
            "schema": { "type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$" },
        },
    })
}

/// The statuses that refusals have, each with its body.
fn problems(problem: &Value) -> Value {
    let statuses: BTreeSet<u16> = Refusal::CODES.iter().filter_map(|code| status_of(code)).collect();
    let all: Map<String, Value> = statuses
        .into_iter()
        .map(|status| (status.to_string(), refusal(status, &words(status), problem)))
        .collect();
    Value::Object(all)
}

fn refusal(status: u16, description: &str, problem: &Value) -> Value {
    let mut headers = json!({ "X-OpenStack-Request-ID": { "$ref": "#/components/headers/RequestId" } });
    if status == 503 {
        headers["Retry-After"] = json!({ "$ref": "#/components/headers/RetryAfter" });
    }
    json!({
        "description": description,
        "headers": headers,
        "content": { "application/problem+json": { "schema": problem } },
    })
}

/// A status in words.
fn words(status: u16) -> String {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    reason.unwrap_or("Refused").to_owned()
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut parameters: Vec<Value> = operation
        .path_parameters()
        .map(|(name, about, schema)| {
            let schema = schema(&mut schemas.asked);
            json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema })
        })
        .collect();
    parameters.extend(operation.query.iter().map(|query| {
        let schema = match &query.form {
            Form::Of(schema) => schema(&mut schemas.asked).to_value(),
            Form::Inline(schema) => schema.clone(),
        };
        json!({
            "name": query.name, "in": "query", "required": query.required, "description": query.about, "schema": schema,
        })
    }));
    let headers = [
        (operation.idempotent, "IdempotencyKey"),
        (operation.if_match, "IfMatch"),
        (matches!(operation.gives, Gives::Events), "LastEventId"),
    ];
    for (_, name) in headers.into_iter().filter(|(honoured, _)| *honoured) {
        parameters.push(json!({ "$ref": format!("#/components/parameters/{name}") }));
    }
    let mut description = operation.about.to_owned();
    if !description.is_empty() {
        description.push_str("\n\n");
    }
    description.push_str(operation.who.sentence());
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag.name],
        "summary": operation.summary,
        "description": description,
        "parameters": parameters,
        "security": security(operation),
        "responses": responses(operation, schemas),
    });
    if let Some((schema, required)) = operation.body {
        let schema = schema(&mut schemas.asked);
        described["requestBody"] = json!({
            "required": required,
            "content": { "application/json": { "schema": schema } },
        });
    }
    described
}

fn security(operation: &Operation) -> Value {
    let session = if operation.reads() {
        json!({ "session": [] })
    } else {
        json!({ "session": [], "csrf": [] })
    };
    match operation.who {
        Who::Anybody => json!([]),
        Who::Session => json!([session]),
        _ => json!([{ "token": [] }, session]),
    }
}

fn responses(operation: &Operation, schemas: &mut Schemas) -> Value {
    let text = |kind: &str, about: &str| {
        (
            about.to_owned(),
            Some(json!({ kind: { "schema": { "type": "string" } } })),
        )
    };
    let (about, content) = match operation.gives {
        Gives::Json(schema) => {
            let schema = schema(&mut schemas.given);
            (
                words(operation.status),
                Some(json!({ "application/json": { "schema": schema } })),
            )
        }
        Gives::Nothing => ("Done.".to_owned(), None),
        Gives::Document => (
            "This document.".to_owned(),
            Some(json!({ "application/json": { "schema": { "type": "object", "required": ["openapi", "paths"] } } })),
        ),
        Gives::Text(kind) => text(kind, "For people."),
        Gives::Events => (
            "A stream of events, until it is closed.".to_owned(),
            Some(json!({
                "text/event-stream": {
                    "schema": { "type": "string" },
                    "x-events": {
                        "change": { "$ref": "#/components/schemas/ChangeEvent" },
                        "progress": { "$ref": "#/components/schemas/ProgressEvent" },
                        "reset": { "$ref": "#/components/schemas/ProgressEvent" },
                    },
                },
            })),
        ),
    };
    let mut good = json!({
        "description": about,
        "headers": { "X-OpenStack-Request-ID": { "$ref": "#/components/headers/RequestId" } },
    });
    if let Some(content) = content {
        good["content"] = content;
    }
    let mut all = Map::new();
    all.insert(operation.status.to_string(), good);
    if matches!(operation.gives, Gives::Document | Gives::Text(_)) {
        let same = json!({ "description": "What the asker has (`If-None-Match`) is what there is." });
        all.insert("304".to_owned(), same);
    }
    for (status, codes) in refusals(operation) {
        // References to what says the same of all, with the codes that this one names.
        let codes: Vec<&str> = codes.into_iter().collect();
        all.insert(
            status.to_string(),
            json!({ "$ref": format!("#/components/responses/{status}"), "description": codes.join(", ") }),
        );
    }
    Value::Object(all)
}

/// Codes of the refusals of an operation, by status: those it names, and what goes without saying.
pub fn refusals(operation: &Operation) -> BTreeMap<u16, BTreeSet<&'static str>> {
    let mut codes: BTreeSet<&'static str> = operation.refuses.iter().copied().collect();
    let mut say = |holds: bool, some: &[&'static str]| {
        if holds {
            codes.extend(some);
        }
    };
    let public = operation.who == Who::Anybody;
    let writes = !operation.reads();
    let rights = operation.who >= Who::Support || (writes && operation.who >= Who::Member);
    say(!public, &["auth.required", "auth.expired"]);
    say(!public && writes, &["auth.csrf", "store.unknown"]);
    say(rights, &["auth.forbidden"]);
    say(!public || writes, &["store.unavailable"]);
    let looked_up =
        operation.path_parameters().next().is_some() || operation.query.iter().any(|query| query.name == "project");
    say(looked_up, &["not_found"]);
    say(operation.body.is_some(), &["body.malformed", "body.too_large"]);
    say(!operation.query.is_empty(), &["body.malformed"]);
    say(
        operation.idempotent,
        &[
            "idempotency.other_body",
            "value.too_long",
            "value.not_one_of",
            "quota.exceeded",
        ],
    );
    say(operation.if_match, &["revision.mismatch", "value.wrong_type"]);
    let mut by_status: BTreeMap<u16, BTreeSet<&'static str>> = BTreeMap::new();
    for code in codes {
        by_status
            .entry(status_of(code).unwrap_or(500))
            .or_default()
            .insert(code);
    }
    by_status
}

#[cfg(test)]
mod tests {
    use super::super::routes::operations;
    use super::*;

    #[test]
    fn every_operation_is_named_once_and_every_parameter_known() {
        let operations = operations();
        let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), operations.len());
        for operation in &operations {
            let named = operation.route.path.matches('{').count();
            assert_eq!(operation.path_parameters().count(), named, "{}", operation.route.path);
            for code in operation.refuses {
                assert!(status_of(code).is_some(), "{}: {code}", operation.id);
            }
            assert!(operation.summary.len() <= 90, "{}: a line", operation.id);
        }
    }

    #[test]
    fn a_type_that_is_asked_and_given_has_one_schema() {
        let settings = || SchemaSettings::draft2020_12();
        let mut schemas = Schemas {
            asked: settings().for_deserialize().into_generator(),
            given: settings().for_serialize().into_generator(),
        };
        for operation in &operations() {
            describe(operation, &mut schemas);
        }
        let (asked, given) = (
            schemas.asked.take_definitions(true),
            schemas.given.take_definitions(true),
        );
        let both: Vec<_> = asked.iter().filter(|(name, _)| given.contains_key(*name)).collect();
        assert!(!both.is_empty());
        for (name, schema) in both {
            assert_eq!(schema, &given[name], "{name}");
        }
    }

    #[test]
    fn texts_are_for_people() {
        let text = document(&operations()).to_string();
        assert!(!text.contains("[`"), "links of Rust's documentation");
        for constant in ["TEXT_", "NODES_MAX", "LANGUAGES"] {
            assert!(!text.contains(constant), "{constant}: constants have values");
        }
    }
}
