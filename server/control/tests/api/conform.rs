//! Every answer of `/portolan/v1` that a test gets is held against the document: its status must be
//! in it, and its body must be what the document says, no more and no less.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use portolan_control::api::v1::document::{SERVER, document};
use portolan_control::api::v1::routes::operations;
use serde_json::{Map, Value, json};

use super::kit::Reply;

/// The document, with every object closed: a field it does not name is a lie by omission.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = document(&operations());
    for (_, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
        close(schema);
    }
    document
});

/// Validators by operation, status and type: compiling one takes longer than using it.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            let object = map.get("type").is_some_and(|kind| kind == "object");
            if object && map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// The operation of a call, if there is one.
fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.split('?').next()?.strip_prefix(SERVER)?;
    let paths: &'static Map<String, Value> = DOCUMENT["paths"].as_object().unwrap();
    let given: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == given.len() && wanted.iter().zip(&given).all(|(w, g)| w.starts_with('{') || w == g)
    };
    let (template, methods) = paths.iter().find(|(template, _)| fits(template))?;
    Some((template, methods.get(method.to_lowercase())?))
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

fn validator(name: String, schema: &Value) -> Arc<Validator> {
    let mut known = VALIDATORS.lock().unwrap();
    let made = known.entry(name).or_insert_with(|| {
        let mut whole = schema.clone();
        whole["components"] = DOCUMENT["components"].clone();
        let options = jsonschema::options().should_validate_formats(true);
        Arc::new(options.build(&whole).unwrap())
    });
    Arc::clone(made)
}

/// Fails the test if an answer is not what the document says.
pub(crate) fn check(method: &str, path: &str, reply: &Reply) {
    let Some((template, operation)) = operation(method, path) else {
        return;
    };
    let call = format!("{method} {template} {}", reply.status);
    let response = &operation["responses"][reply.status.to_string()];
    assert!(response.is_object(), "{call} is not in the document: {reply:?}");
    let kind = reply.header("content-type").split(';').next().unwrap_or_default();
    let Some(content) = resolve(response)["content"].as_object() else {
        assert_eq!(reply.text, "", "{call} holds nothing");
        return;
    };
    let body = content
        .get(kind)
        .unwrap_or_else(|| panic!("{call} is not {kind}: {reply:?}"));
    if !kind.ends_with("json") {
        return;
    }
    let validator = validator(format!("{call} {kind}"), &body["schema"]);
    let value = reply.json();
    let wrong: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        wrong.is_empty(),
        "{call} is not what the document says: {wrong:#?}\n{value:#}"
    );
}

#[test]
fn a_lie_is_found() {
    let reply = |status: u16, text: &str| Reply {
        status,
        headers: [("content-type".parse().unwrap(), "application/json".parse().unwrap())]
            .into_iter()
            .collect(),
        text: text.to_owned(),
    };
    let path = "/portolan/v1/projects/0198/quotas?x=1";
    check("GET", path, &reply(200, r#"{"revision":1,"total":0,"items":[]}"#));
    for (status, lie) in [
        (200, r#"{"revision":1,"total":0,"items":[],"more":1}"#),
        (200, r#"{"revision":"1","total":0,"items":[]}"#),
        (200, r#"{"total":0,"items":[]}"#),
        (418, "{}"),
    ] {
        let reply = reply(status, lie);
        let caught = std::panic::catch_unwind(|| check("GET", path, &reply));
        assert!(caught.is_err(), "{lie}");
    }
}
