//! How the store writes the words that API and model share. They are said here and not taken from the wire's types: a word
//! that is renamed there must not make a stored row unreadable.

use portolan_shared::v1::{NodesFrom, PathKind, RequestState, Side};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

macro_rules! stored {
    ($($(#[$doc:meta])* $module:ident: $type:ident { $($variant:ident = $word:literal),* })*) => {
        $($(#[$doc])*
        pub(super) mod $module {
            use super::*;

            /// Every word and what it stands for.
            pub(super) const WORDS: &[($type, &str)] = &[$(($type::$variant, $word)),*];

            pub(super) const fn word(value: $type) -> &'static str {
                match value { $($type::$variant => $word),* }
            }

            pub(in crate::model) fn serialize<S: Serializer>(value: &$type, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(word(*value))
            }

            pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                let found = std::borrow::Cow::<'de, str>::deserialize(from)?;
                let known = WORDS.iter().find(|(_, word)| **word == *found);
                known
                    .map(|(value, _)| *value)
                    .ok_or_else(|| D::Error::custom(format!("'{found}' is no {}", stringify!($module))))
            }
        })*
    };
}

stored! {
    /// Where a cluster's nodes come from.
    nodes_from: NodesFrom { Join = "join", Lab = "lab" }
    /// How pods of two nodes reach each other.
    path: PathKind { Auto = "auto", Routes = "routes", Vxlan = "vxlan" }
    /// How far a shadowport request is.
    state: RequestState {
        New = "new", InReview = "in_review", Granted = "granted", Declined = "declined", Withdrawn = "withdrawn"
    }
    /// Whose side did something.
    side: Side { Customer = "customer", Support = "support" }
}

/// A side, or none.
pub(super) mod side_or_none {
    use super::*;

    pub(in crate::model) fn serialize<S: Serializer>(value: &Option<Side>, out: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => out.serialize_some(side::word(*value)),
            None => out.serialize_none(),
        }
    }

    pub(in crate::model) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Side>, D::Error> {
        #[derive(Deserialize)]
        struct Stored(#[serde(with = "super::side")] Side);
        Ok(Option::<Stored>::deserialize(from)?.map(|Stored(side)| side))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_in_stores_out_there_never_change() {
        let said: Vec<&str> = nodes_from::WORDS
            .iter()
            .map(|(_, word)| *word)
            .chain(path::WORDS.iter().map(|(_, word)| *word))
            .chain(state::WORDS.iter().map(|(_, word)| *word))
            .chain(side::WORDS.iter().map(|(_, word)| *word))
            .collect();
        let shipped = [
            "join",
            "lab",
            "auto",
            "routes",
            "vxlan",
            "new",
            "in_review",
            "granted",
            "declined",
            "withdrawn",
            "customer",
            "support",
        ];
        assert_eq!(said, shipped);
    }

    #[test]
    fn what_is_written_is_read_and_another_word_is_not() {
        #[derive(serde::Serialize, Deserialize, PartialEq, Debug)]
        struct Row {
            #[serde(with = "super::state")]
            state: RequestState,
            #[serde(with = "super::side_or_none")]
            awaits: Option<Side>,
        }
        for (state, _) in state::WORDS {
            for awaits in [None, Some(Side::Customer), Some(Side::Support)] {
                let row = Row { state: *state, awaits };
                let text = serde_json::to_string(&row).unwrap();
                assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row, "{text}");
            }
        }
        assert!(serde_json::from_str::<Row>(r#"{"state":"open","awaits":null}"#).is_err());
    }
}
