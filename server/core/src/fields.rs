//! What of an object the audit shows: names as the API writes them, values as text.
//!
//! Each kind lists its fields ([`crate::model::Kind::fields`]), so that nothing is shown by accident: never a password's,
//! a key's or a secret's hash.

use std::fmt::Display;

use portolan_shared::time::Time;
use serde::Serialize;

use crate::model::Micros;

/// Most characters of a name that is made of a longer text.
const NAME: usize = 60;

/// The beginning of a longer text, as a name, in one line.
pub fn beginning(text: &str) -> String {
    let in_line = |c| if c == '\n' { ' ' } else { c };
    text.chars().take(NAME).map(in_line).collect()
}

/// A moment as the API writes it.
pub fn moment(at: Micros) -> String {
    Time(at).to_string()
}

/// Fields with their values, in order.
#[derive(Debug, Default)]
pub struct Fields(pub Vec<(&'static str, String)>);

impl Fields {
    /// Always there.
    pub fn put(&mut self, field: &'static str, value: impl Display) {
        self.0.push((field, value.to_string()));
    }

    /// Not there if it is nothing.
    pub fn may(&mut self, field: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.put(field, value);
        }
    }

    /// Not there if it is empty.
    pub fn text(&mut self, field: &'static str, value: &str) {
        self.may(field, Some(value).filter(|value| !value.is_empty()));
    }

    /// Not there if there are none.
    pub fn list(&mut self, field: &'static str, values: impl IntoIterator<Item = impl Display>) {
        let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        self.text(field, &values.join(", "));
    }

    /// As a word of the wire's.
    pub fn word(&mut self, field: &'static str, value: impl Serialize) {
        if let Ok(serde_json::Value::String(word)) = serde_json::to_value(value) {
            self.put(field, word);
        }
    }
}
