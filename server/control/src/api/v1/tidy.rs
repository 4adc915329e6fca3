//! From schemas as they are derived to schemas as one reads them: the texts of Rust's documentation
//! without its links, closed lists as one `enum`, addresses by format.

use std::fmt::Write;

use portolan_shared::v1::{LANGUAGES, MESSAGES_MAX, NODES_MAX, TEXT_MAX, TEXT_MIN};
use serde_json::{Map, Value, json};

/// Tidies everything below.
pub fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            object(map);
            map.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn object(map: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = map.get_mut("description") {
        *text = prose(text);
    }
    if map.get("default") == Some(&Value::Null) {
        map.remove("default");
    }
    if map.get("format").and_then(Value::as_str) == Some("ip") {
        map.remove("format");
        map.insert("anyOf".to_owned(), json!([{ "format": "ipv4" }, { "format": "ipv6" }]));
    }
    if let Some((words, texts)) = closed_list(map) {
        map.remove("oneOf");
        map.insert("type".to_owned(), "string".into());
        map.insert("enum".to_owned(), words.into());
        map.insert("x-enumDescriptions".to_owned(), texts.into());
    }
}

/// The words of a `oneOf` that is nothing but words, and what they mean.
fn closed_list(map: &Map<String, Value>) -> Option<(Vec<Value>, Map<String, Value>)> {
    let mut words = Vec::new();
    let mut texts = Map::new();
    for one in map.get("oneOf")?.as_array()? {
        let is_word = one.get("type").and_then(Value::as_str) == Some("string");
        match (
            one.get("const").and_then(Value::as_str),
            one.get("enum").and_then(Value::as_array),
        ) {
            (Some(word), _) if is_word => {
                words.push(word.into());
                let text = one.get("description").and_then(Value::as_str).unwrap_or_default();
                texts.insert(word.to_owned(), prose(text).into());
            }
            (None, Some(several)) if is_word => words.extend(several.iter().cloned()),
            _ => return None,
        }
    }
    Some((words, texts))
}

/// Rust's documentation as prose: lines joined, links as code, constants as their values.
fn prose(text: &str) -> String {
    let paragraphs: Vec<String> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let mut rest = paragraphs.join("\n\n");
    let mut out = String::with_capacity(rest.len());
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((link, after)) = after.split_once("`]") else {
            break;
        };
        out.push_str(before);
        match constant(link) {
            Some(value) => out.push_str(&value),
            // Writing to a String cannot fail.
            None => {
                let _ = write!(out, "`{}`", item(link));
            }
        }
        rest = after.to_owned();
    }
    out + &rest
}

/// The value of a constant of the wire types.
fn constant(name: &str) -> Option<String> {
    Some(match name {
        "TEXT_MIN" => TEXT_MIN.to_string(),
        "TEXT_MAX" => TEXT_MAX.to_string(),
        "NODES_MAX" => NODES_MAX.to_string(),
        "MESSAGES_MAX" => MESSAGES_MAX.to_string(),
        "LANGUAGES" => LANGUAGES.join(", "),
        _ => return None,
    })
}

/// `crate::refusal::Refusal::code` without its modules.
fn item(path: &str) -> &str {
    let mut start = 0;
    for (at, _) in path.match_indices("::") {
        let module = path[start..at]
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit());
        if !module {
            break;
        }
        start = at + 2;
    }
    &path[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documentation_becomes_prose() {
        assert_eq!(
            prose(
                "For the customer:\n[`TEXT_MIN`]..=[`TEXT_MAX`] characters.\n\nSee [`crate::refusal::Refusal::code`]."
            ),
            "For the customer: 10..=2000 characters.\n\nSee `Refusal::code`."
        );
        assert_eq!(prose("[`Open`"), "[`Open`");
    }

    #[test]
    fn words_become_a_closed_list_and_addresses_have_formats() {
        let mut schema = json!({
            "oneOf": [
                { "type": "string", "const": "auto", "description": "As it\nfits." },
                { "type": "string", "enum": ["x", "y"] },
            ],
            "default": null,
        });
        tidy(&mut schema);
        let expected = json!({
            "type": "string", "enum": ["auto", "x", "y"], "x-enumDescriptions": { "auto": "As it fits." },
        });
        assert_eq!(schema, expected);
        let mut mixed = json!({ "oneOf": [{ "type": "string", "const": "a" }, { "type": "object" }] });
        let before = mixed.clone();
        tidy(&mut mixed);
        assert_eq!(mixed, before);
        let mut address = json!({ "type": ["string", "null"], "format": "ip" });
        tidy(&mut address);
        assert_eq!(address["anyOf"][1]["format"], "ipv6");
        assert_eq!(address.get("format"), None);
    }
}
