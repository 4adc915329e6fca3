//! A value that a schema describes, for examples.

use serde_json::{Map, Value, json};

/// An example of what a schema of a document describes: what must be there, as plain as can be.
pub fn sample(document: &Value, schema: &Value) -> Value {
    let pointer = schema["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'));
    if let Some(named) = pointer.and_then(|pointer| document.pointer(pointer)) {
        return sample(document, named);
    }
    let first = |name: &str| schema[name].as_array().and_then(|some| some.first());
    if let Some(example) = first("examples").or(first("enum")).or(schema.get("default")) {
        return example.clone();
    }
    let kind = schema["type"]
        .as_str()
        .or_else(|| first("type").and_then(Value::as_str));
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
            let fields = required.iter().filter_map(Value::as_str);
            let object: Map<String, Value> = fields
                .map(|name| (name.to_owned(), sample(document, &schema["properties"][name])))
                .collect();
            Value::Object(object)
        }
        Some("string") => json!("text"),
        Some("integer") => schema["minimum"].as_u64().unwrap_or(0).into(),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::document;
    use super::super::routes::operations;
    use super::*;

    #[test]
    fn examples_of_bodies_fit_their_schemas() {
        let document = document(&operations());
        let mut seen = 0;
        for (_, methods) in document["paths"].as_object().unwrap() {
            for (_, operation) in methods.as_object().unwrap() {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                if schema.is_null() {
                    continue;
                }
                let mut whole = schema.clone();
                whole["components"] = document["components"].clone();
                let validator = jsonschema::validator_for(&whole).unwrap();
                let example = sample(&document, schema);
                assert!(validator.is_valid(&example), "{}: {example}", operation["operationId"]);
                seen += 1;
            }
        }
        assert!(seen > 3);
    }
}
