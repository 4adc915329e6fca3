//! Request bodies: read whole, up to a limit, and taken apart attribute by attribute, so that every
//! wrong attribute is named and every unknown one refused.
//!
//! Types are lenient where Neutron's are: `"true"` and `1` are true, `"1500"` is a number.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use portolan_shared::check::{self, shortened};
use portolan_shared::refusal::Refusal;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::BODY_MAX;
use super::error::Failure;

/// Most objects of a bulk create.
pub const BULK_MAX: usize = 10_000;

/// How long a body may take to arrive, from its request's head on.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of room for a body before any of it has come.
const BODY_FIRST: usize = 16 * 1024;

/// The bytes of a request's body, at most [`BODY_MAX`].
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let length = request
            .headers()
            .get("content-length")
            .and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: usize| length > BODY_MAX) {
            return Err(Refusal::TooLarge { max: BODY_MAX }.into());
        }
        let late = |_| Refusal::Malformed {
            detail: format!("it did not arrive within {} s", BODY_TIMEOUT.as_secs()),
        };
        timeout(BODY_TIMEOUT, whole(request, length.unwrap_or(0)))
            .await
            .map_err(late)?
    }
}

/// The whole body, said to be of `length` bytes.
async fn whole(request: Request, length: usize) -> Result<Body, Failure> {
    // Memory is taken for what has arrived, not for what is only announced.
    let mut bytes = BytesMut::with_capacity(length.min(BODY_FIRST));
    let mut stream = request.into_body().into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Refusal::Malformed {
            detail: "it ends early".to_owned(),
        })?;
        if bytes.len() + chunk.len() > BODY_MAX {
            return Err(Refusal::TooLarge { max: BODY_MAX }.into());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body(bytes.freeze()))
}

impl Body {
    /// The body as a type of ours, whose fields are all known.
    ///
    /// # Errors
    /// If it is not JSON, or not of that type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.0).map_err(|error| malformed(&error))
    }

    /// The body as an object.
    ///
    /// # Errors
    /// If it is not JSON, or not an object.
    pub fn object(&self) -> Result<Map<String, Value>, Refusal> {
        match serde_json::from_slice(&self.0).map_err(|error| malformed(&error))? {
            Value::Object(map) => Ok(map),
            _ => Err(Refusal::Malformed {
                detail: "it is not an object".to_owned(),
            }),
        }
    }

    /// `{"thing": {…}}`.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn one(&self, thing: &str) -> Result<Fields, Refusal> {
        one(self.object()?, thing)
    }

    /// `{"thing": {…}}` or, in bulk, `{"things": [{…}, …]}`; true if in bulk.
    ///
    /// # Errors
    /// If it is anything else, or too many.
    pub fn one_or_many(&self, thing: &str, things: &str) -> Result<(Vec<Fields>, bool), Refusal> {
        let mut map = self.object()?;
        let Some(many) = map.remove(things) else {
            return Ok((vec![one(map, thing)?], false));
        };
        if !map.is_empty() {
            return Err(unknown(map));
        }
        let Value::Array(many) = many else {
            return Err(wrong_type(things, "a list of objects"));
        };
        if many.is_empty() {
            return Err(Refusal::Required {
                field: things.to_owned(),
            });
        }
        if many.len() > BULK_MAX {
            return Err(Refusal::TooMany {
                field: things.to_owned(),
                max: BULK_MAX,
                count: many.len(),
            });
        }
        let objects = many.into_iter().map(|one| match one {
            Value::Object(fields) => Ok(Fields::new(fields)),
            _ => Err(wrong_type(things, "a list of objects")),
        });
        Ok((objects.collect::<Result<_, _>>()?, true))
    }
}

fn one(mut map: Map<String, Value>, thing: &str) -> Result<Fields, Refusal> {
    match map.remove(thing) {
        Some(Value::Object(fields)) if map.is_empty() => Ok(Fields::new(fields)),
        Some(Value::Object(_)) => Err(unknown(map)),
        _ => Err(Refusal::Malformed {
            detail: format!("there is no object '{thing}' in it"),
        }),
    }
}

fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::Malformed {
        detail: shortened(&error.to_string().replace('\n', " ")),
    }
}

fn unknown(map: Map<String, Value>) -> Refusal {
    let names: Vec<String> = map.into_iter().map(|(name, _)| shortened(&name)).take(8).collect();
    Refusal::UnknownAttribute {
        field: names.join(", "),
    }
}

/// A value of the wrong type.
pub fn wrong_type(field: &str, expected: &str) -> Refusal {
    Refusal::WrongType {
        field: field.to_owned(),
        expected: expected.to_owned(),
    }
}

/// What a request says of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<T> {
    /// It is not there.
    Nothing,
    /// `null`.
    Null,
    /// This value.
    Value(T),
}

impl<T> Said<T> {
    /// `null` means the same as nothing.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing | Self::Null => None,
        }
    }
}

/// The attributes of an object in a request; each is taken out once, and what is left at the end is refused as unknown.
#[derive(Debug)]
pub struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    /// From an object.
    pub fn new(map: Map<String, Value>) -> Self {
        Self { map }
    }

    /// Whether an attribute is there.
    pub fn has(&self, field: &str) -> bool {
        self.map.contains_key(field)
    }

    /// Takes an attribute as it is.
    pub fn take(&mut self, field: &str) -> Option<Value> {
        self.map.remove(field)
    }

    /// A name, description or other free text; trimmed.
    ///
    /// # Errors
    /// If it is no string, too long, or holds control characters.
    pub fn text(&mut self, field: &str, max: usize) -> Result<Option<String>, Refusal> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => check::text(field, &text, max).map(Some),
            Some(_) => Err(wrong_type(field, "a string")),
        }
    }

    /// A string that something else reads.
    ///
    /// # Errors
    /// If it is neither a string nor `null`.
    pub fn string(&mut self, field: &str) -> Result<Said<String>, Refusal> {
        match self.take(field) {
            None => Ok(Said::Nothing),
            Some(Value::Null) => Ok(Said::Null),
            Some(Value::String(text)) => Ok(Said::Value(text)),
            Some(_) => Err(wrong_type(field, "a string")),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// If it is neither.
    pub fn flag(&mut self, field: &str) -> Result<Option<bool>, Refusal> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => flag(&value).map(Some).ok_or_else(|| wrong_type(field, "true or false")),
        }
    }

    /// A whole number in a range, both ends included.
    ///
    /// # Errors
    /// If it is none.
    pub fn number(&mut self, field: &str, min: i64, max: i64) -> Result<Option<i64>, Refusal> {
        let value = match self.take(field) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        let value = value.ok_or_else(|| wrong_type(field, "a whole number"))?;
        if (min..=max).contains(&value) {
            Ok(Some(value))
        } else {
            Err(Refusal::OutOfRange {
                field: field.to_owned(),
                value,
                min,
                max,
            })
        }
    }

    /// An id.
    ///
    /// # Errors
    /// If it is none.
    pub fn id<T: std::str::FromStr>(&mut self, field: &str) -> Result<Option<T>, Refusal> {
        match self.string(field)? {
            Said::Nothing => Ok(None),
            Said::Null => Err(wrong_type(field, "an ID")),
            Said::Value(text) => id(field, &text).map(Some),
        }
    }

    /// A list of strings; `null` is an empty one.
    ///
    /// # Errors
    /// If it is none.
    pub fn strings(&mut self, field: &str) -> Result<Option<Vec<String>>, Refusal> {
        let expected = || wrong_type(field, "a list of strings");
        match self.take(field) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(Vec::new())),
            Some(Value::Array(values)) => {
                let strings = values.into_iter().map(|value| match value {
                    Value::String(text) => Ok(text),
                    _ => Err(expected()),
                });
                strings.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(expected()),
        }
    }

    /// A list of objects; `null` counts as left out.
    ///
    /// # Errors
    /// If it is none.
    pub fn objects(&mut self, field: &str) -> Result<Option<Vec<Self>>, Refusal> {
        let expected = || wrong_type(field, "a list of objects");
        match self.take(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(values)) => {
                let objects = values.into_iter().map(|value| match value {
                    Value::Object(map) => Ok(Self::new(map)),
                    _ => Err(expected()),
                });
                objects.collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(expected()),
        }
    }

    /// A list of pairs of strings, each an object with exactly these two attributes.
    ///
    /// # Errors
    /// If it is none.
    pub fn pairs(&mut self, field: &str, left: &str, right: &str) -> Result<Option<Vec<(String, String)>>, Refusal> {
        let Some(objects) = self.objects(field)? else {
            return Ok(None);
        };
        let mut pairs = Vec::with_capacity(objects.len());
        for mut object in objects {
            let mut side = |name: &str| match object.take(name) {
                Some(Value::String(text)) => Ok(text),
                None => Err(Refusal::Required {
                    field: format!("{field}.{name}"),
                }),
                Some(_) => Err(wrong_type(&format!("{field}.{name}"), "a string")),
            };
            pairs.push((side(left)?, side(right)?));
            object.end()?;
        }
        Ok(Some(pairs))
    }

    /// Takes an attribute that Portolan does not implement. Only the value that it is always shown with is accepted.
    ///
    /// # Errors
    /// If it has any other value.
    pub fn only(&mut self, field: &str, allowed: &Value) -> Result<(), Refusal> {
        let Some(given) = self.take(field) else { return Ok(()) };
        let same = match allowed {
            Value::Bool(allowed) => flag(&given) == Some(*allowed),
            Value::Array(_) | Value::Object(_) => given == *allowed || given.is_null(),
            _ => given == *allowed,
        };
        if same {
            return Ok(());
        }
        let given = match given {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Err(Refusal::NotOneOf {
            field: field.to_owned(),
            given: shortened(&given),
            allowed: allowed.to_string(),
        })
    }

    /// Refuses attributes that only the server sets.
    ///
    /// # Errors
    /// If one of them is there.
    pub fn read_only(&mut self, fields: &[&str]) -> Result<(), Refusal> {
        match fields.iter().find(|field| self.map.contains_key(**field)) {
            Some(field) => Err(Refusal::ReadOnly {
                field: (*field).to_owned(),
            }),
            None => Ok(()),
        }
    }

    /// Ends the reading: all attributes must have been taken.
    ///
    /// # Errors
    /// If one is left: it is unknown.
    pub fn end(self) -> Result<(), Refusal> {
        if self.map.is_empty() {
            Ok(())
        } else {
            Err(unknown(self.map))
        }
    }
}

/// An attribute that must be there.
///
/// # Errors
/// If it is not.
pub fn required<T>(field: &str, value: Option<T>) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::Required {
        field: field.to_owned(),
    })
}

/// An id in a body.
///
/// # Errors
/// If it is none.
pub fn id<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Refusal::NotAnId {
        field: field.to_owned(),
        given: shortened(text),
    })
}

/// True or false, as Neutron's `convert_to_boolean` reads it.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => flag_text(text),
        _ => None,
    }
}

/// True or false in a query.
pub fn flag_text(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(text: &str) -> Body {
        Body(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn fields(value: Value) -> Fields {
        match value {
            Value::Object(map) => Fields::new(map),
            _ => Fields::new(Map::new()),
        }
    }

    #[test]
    fn bodies_of_one_and_of_many() {
        let read = |text: &str| body(text).one_or_many("port", "ports").map(|(f, bulk)| (f.len(), bulk));
        assert_eq!(read(r#"{"port":{}}"#), Ok((1, false)));
        assert_eq!(read(r#"{"ports":[{},{}]}"#), Ok((2, true)));
        for (bad, code) in [
            ("", "body.malformed"),
            ("{", "body.malformed"),
            ("[]", "body.malformed"),
            ("null", "body.malformed"),
            (r#"{"port":[]}"#, "body.malformed"),
            (r#"{"net":{}}"#, "body.malformed"),
            (r#"{"port":{},"x":1}"#, "body.unknown_attribute"),
            (r#"{"ports":{}}"#, "value.wrong_type"),
            (r#"{"ports":[1]}"#, "value.wrong_type"),
            (r#"{"ports":[]}"#, "value.required"),
            (r#"{"ports":[{}],"port":{}}"#, "body.unknown_attribute"),
            ("{\"port\":{\"name\":\"\u{1}\"}}", "body.malformed"),
        ] {
            assert_eq!(read(bad).map_err(|r| r.code()), Err(code), "{bad}");
        }
        let deep = format!("{{\"port\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(read(&deep).map_err(|r| r.code()), Err("body.malformed"));
    }

    #[test]
    fn values_are_read_as_leniently_as_neutron_reads_them() {
        let mut f = fields(json!({"a": "True", "b": 0, "c": "yes", "n": "1500", "m": 1.5, "s": 1, "z": null}));
        assert_eq!(f.flag("a"), Ok(Some(true)));
        assert_eq!(f.flag("b"), Ok(Some(false)));
        assert!(f.flag("c").is_err());
        assert_eq!(f.number("n", 0, 9000), Ok(Some(1500)));
        assert!(f.number("m", 0, 9000).is_err());
        assert!(f.text("s", 255).is_err());
        assert!(f.text("z", 255).is_err());
        assert_eq!(f.text("absent", 255), Ok(None));
        assert!(f.end().is_ok());
    }

    #[test]
    fn what_is_left_is_unknown_and_what_is_ours_is_read_only() {
        let mut f = fields(json!({"id": "x", "nonsense": 1}));
        assert_eq!(f.read_only(&["status", "id"]).unwrap_err().code(), "body.read_only");
        assert_eq!(
            f.end().unwrap_err().to_string(),
            "Unrecognized attribute(s) 'id, nonsense'."
        );
        let mut f = fields(json!({"shared": "false", "tags": [], "pool": null, "x": true}));
        assert!(f.only("shared", &json!(false)).is_ok() && f.only("tags", &json!([])).is_ok());
        assert!(f.only("pool", &Value::Null).is_ok());
        assert_eq!(f.only("x", &json!(false)).unwrap_err().code(), "value.not_one_of");
    }
}
