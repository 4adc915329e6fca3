//! The description of `/portolan/v1`: valid, whole, public, and a page that browsers may show.

use std::collections::BTreeSet;

use portolan_control::api::v1::document::document;
use portolan_control::api::v1::routes::operations;
use serde_json::Value;

use super::kit::Server;

/// The JSON Schema of OpenAPI 3.1 documents, as its makers publish it.
const META: &str = include_str!("openapi-3.1.json");

#[test]
fn the_document_is_openapi_3_1() {
    let document = document(&operations());
    let meta: Value = serde_json::from_str(META).unwrap();
    let validator = jsonschema::validator_for(&meta).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        !validator.is_valid(&serde_json::json!({ "openapi": "3.1.0" })),
        "it refuses something"
    );
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let sound = jsonschema::meta::validate(schema);
        assert!(sound.is_ok(), "{name}: {sound:?}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_type_is_used() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.insert(reference.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document(&operations());
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(
            found.contains(&format!("#/components/schemas/{name}")),
            "{name} is used"
        );
    }
}

#[tokio::test]
async fn anybody_gets_it_and_may_keep_it() {
    let server = Server::new().await;
    for (path, kind) in [
        ("/portolan/v1/openapi.json", "application/json"),
        ("/portolan/v1/docs", "text/html; charset=utf-8"),
        ("/portolan/v1/docs.css", "text/css; charset=utf-8"),
    ] {
        let reply = server.ask("GET", path, &[], "").await.is(200);
        assert_eq!(reply.header("content-type"), kind);
        assert_eq!(reply.header("cache-control"), "public, max-age=300");
        let tag = reply.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.len() > 20, "{tag}");
        let again = server.ask("GET", path, &[("if-none-match", &tag)], "").await.is(304);
        assert_eq!(again.text, "");
        server
            .ask("GET", path, &[("if-none-match", "\"other\"")], "")
            .await
            .is(200);
    }
    let served = server.ask("GET", "/portolan/v1/openapi.json", &[], "").await.json();
    assert_eq!(served, document(&operations()));
}
