//! Shadowport requests: the form, messages of the thread, and what a decision needs. Pure.

use portolan_shared::time::Time;
use portolan_shared::v1::{FileRequest, NODES_MAX, TEXT_MAX, TEXT_MIN};

use crate::components::field::Message;
use crate::i18n::{Key, format, t, tn, tp};

/// The form as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// What the shadow port is for.
    pub purpose: String,
    /// How many nodes are expected, as typed.
    pub nodes: String,
    /// A network's id, or empty.
    pub network: String,
    /// The request that it answers, or empty.
    pub quotes: String,
}

/// What the form says, and what it would send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Under *What for*.
    pub purpose: Option<Message>,
    /// Under *Nodes expected*.
    pub nodes: Option<Message>,
    /// What is sent; absent while something is wrong.
    pub body: Option<FileRequest>,
}

/// Characters of a text that count.
pub fn characters(text: &str) -> usize {
    text.trim().chars().count()
}

/// `12 of 2,000 characters`.
pub fn count_text(text: &str) -> String {
    let (used, max) = (format::number(characters(text) as u64), format::number(TEXT_MAX as u64));
    tp(Key::CharactersUsed, &[("used", &used), ("max", &max)])
}

/// What is wrong with a text of at least `min` characters; `short` says that there are fewer.
pub fn text_message(text: &str, min: usize, short: Key) -> Option<Message> {
    let length = characters(text);
    if length < min {
        return Some(Message::error(t(short)));
    }
    if length > TEXT_MAX {
        return Some(Message::error(tn(Key::TextTooLong, (length - TEXT_MAX) as u64)));
    }
    None
}

/// A message that a decision carries: what is wrong with it. Whoever is turned down is told why.
pub fn verdict_message(text: &str) -> Option<Message> {
    text_message(text, TEXT_MIN, Key::MessageNeeded)
}

/// Checks the form.
pub fn check(typed: &Typed) -> Checked {
    let purpose = text_message(&typed.purpose, TEXT_MIN, Key::PurposeNeeded);
    let nodes = typed
        .nodes
        .trim()
        .parse::<u32>()
        .ok()
        .filter(|nodes| (1..=NODES_MAX).contains(nodes));
    let body = match (nodes, &purpose) {
        (Some(nodes), None) => Some(FileRequest {
            purpose: typed.purpose.trim().to_owned(),
            nodes,
            network: typed.network.parse().ok(),
            quotes: typed.quotes.parse().ok(),
        }),
        _ => None,
    };
    Checked {
        purpose,
        nodes: nodes.is_none().then(|| Message::error(t(Key::NodesNeeded))),
        body,
    }
}

/// The last moment of a day (`2026-12-31`) as the reader's calendar has it, `zone` minutes east of
/// UTC, as RFC 3339; `None` unless it is a day that has not passed at `now` (milliseconds UTC).
pub fn end_of_day(day: &str, zone: i64, now: i64) -> Option<String> {
    let Time(utc) = format!("{day}T23:59:59Z").parse().ok()?;
    let end = utc - zone * 60_000_000;
    (end / 1_000 > now).then(|| Time(end).to_string())
}

/// Which clusters a revoked grant leaves without one: the sentence before their names.
pub fn lives_on(clusters: usize) -> String {
    match clusters {
        0 => t(Key::LivesOnNone).to_owned(),
        some => tn(Key::LivesOn, some as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01930000-0000-7000-8000-000000000001";

    fn typed(purpose: &str, nodes: &str) -> Typed {
        Typed {
            purpose: purpose.to_owned(),
            nodes: nodes.to_owned(),
            ..Typed::default()
        }
    }

    #[test]
    fn a_request_says_what_for_and_how_many_nodes() {
        let checked = check(&Typed {
            network: ID.to_owned(),
            ..typed("  nightly batch jobs ", " 12 ")
        });
        let body = checked.body.unwrap();
        assert_eq!((body.purpose.as_str(), body.nodes), ("nightly batch jobs", 12));
        assert_eq!(body.network.map(|id| id.to_string()).as_deref(), Some(ID));
        assert_eq!(body.quotes, None);
    }

    #[test]
    fn too_little_too_much_and_no_number_are_said_under_their_fields() {
        for nodes in ["", "0", "5001", "a few", "-1", "1.5"] {
            let checked = check(&typed("nightly batch jobs", nodes));
            assert!(checked.nodes.is_some() && checked.body.is_none(), "{nodes}");
        }
        for nodes in ["1", "5000"] {
            assert!(check(&typed("nightly batch jobs", nodes)).body.is_some(), "{nodes}");
        }
        assert!(check(&typed("too short", "1")).purpose.is_some());
        assert!(check(&typed(&"é".repeat(2_000), "1")).purpose.is_none());
        let long = check(&typed(&"é".repeat(2_003), "1")).purpose.unwrap();
        assert!(long.text.contains('3'), "{}", long.text);
    }

    #[test]
    fn blanks_do_not_count() {
        assert!(verdict_message("  nine chr  ").is_some());
        assert!(verdict_message("ten chars!").is_none());
        assert_eq!(characters(" ü "), 1);
    }

    #[test]
    fn a_day_ends_where_the_reader_is() {
        // 2026-11-23 12:00 UTC.
        let now = 1_795_435_200_000;
        assert_eq!(
            end_of_day("2026-11-23", 0, now).as_deref(),
            Some("2026-11-23T23:59:59Z")
        );
        assert_eq!(
            end_of_day("2026-11-23", 180, now).as_deref(),
            Some("2026-11-23T20:59:59Z")
        );
        assert_eq!(end_of_day("2026-11-22", 0, now), None, "yesterday");
        assert_eq!(
            end_of_day("2026-11-22", -780, now).as_deref(),
            Some("2026-11-23T12:59:59Z"),
            "still today in the far west"
        );
        for bad in ["", "2026-02-30", "soon"] {
            assert_eq!(end_of_day(bad, 0, now), None, "{bad}");
        }
    }
}
