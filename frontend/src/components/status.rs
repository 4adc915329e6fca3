//! A shape, a word, and the reason under it.

use leptos::prelude::*;
use portolan_shared::status::Reason;

use super::time::{Clock, use_clock};
use super::{dynamic, nothing};
use crate::api::Failure;
use crate::i18n::format;
use crate::i18n::{self, Key, t};
use crate::table::Tone;

/// The shape of a tone: each one is told from the others without colour.
pub fn shape(tone: Tone) -> AnyView {
    let path = match tone {
        Tone::Active => "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1z",
        Tone::Building => "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1zm0 2v6a3 3 0 0 1 0-6z",
        Tone::Idle => "M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1zm0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
        Tone::Disabled => "M1.5 1.5h9v9h-9zM3.5 3.5v5h5v-5z",
        Tone::Down => "M6 .8L11.8 11H.2z",
        Tone::Error => "M6 0l6 6-6 6-6-6z",
    };
    view! {
        <svg width="12" height="12" viewBox="0 0 12 12" fill="currentColor" fill-rule="evenodd" aria-hidden="true">
            <path d=path></path>
        </svg>
    }
    .into_any()
}

/// The word with its shape, and the reason when there is one.
pub fn status(tone: Tone, word: Key, reason: Option<Reason>) -> AnyView {
    let clock = use_clock();
    view! {
        <span class=format!("status status--{}", tone.as_str()) data-testid="cell-status">
            <span class="status__line">{shape(tone)} <span>{t(word)}</span></span>
            {match reason {
                Some(reason) => reason_view("status__reason", reason, clock),
                None => nothing(),
            }}
        </span>
    }
    .into_any()
}

/// A reason whose age keeps counting.
pub fn reason_view(class: &'static str, reason: Reason, clock: Clock) -> AnyView {
    let code = reason.code.clone();
    view! {
        <span class=class data-code=code>
            {dynamic(move || reason_text(&reason, clock.now(), clock.zone()).into_any())}
        </span>
    }
    .into_any()
}

/// A reason in the reader's language: by its code, else as the server says it.
pub fn reason_text(reason: &Reason, now: i64, zone: i64) -> String {
    let Some((_, key)) = i18n::codes::REASONS.iter().find(|(code, _)| *code == reason.code) else {
        // A delete's plan gives its reasons by the codes of refusals.
        let refused = Failure {
            code: reason.code.clone(),
            params: reason.params.clone(),
            said: reason.sentence.clone(),
            ..Failure::default()
        };
        return refused.sentence();
    };
    let when = |text: Option<&str>| match text.and_then(format::parse_time) {
        // If it was another day, the time alone would mislead.
        Some(at) if now - at > 43_200_000 => (format::date(at, zone), format::duration(now - at)),
        Some(at) => (format::clock(at, zone), format::duration(now - at)),
        None => (String::new(), String::new()),
    };
    let (clock, length) = when(reason.since.as_deref());
    let heard = reason.params.iter().find(|(name, _)| name == "heard");
    let (heard, _) = when(heard.map(|(_, at)| at.as_str()));
    let own = [("since", &*clock), ("for", &length), ("heard", &heard)];
    i18n::params::sentence(*key, &reason.params, &own).unwrap_or_else(|| reason.sentence.clone())
}

#[cfg(test)]
mod tests {
    use portolan_shared::kinds::epochs::EpochRow;
    use portolan_shared::kinds::quarantined_blocks::{Former, HeldBlocks};
    use portolan_shared::status::{Cause, Fault, Found, NoBlock, NoRoute, NotProven, PathTrouble};
    use portolan_shared::v1::NodeRow;

    use super::*;

    /// 2026-11-21 12:04:31.250 UTC.
    const NOON: i64 = 1_795_262_671_250;

    #[test]
    fn every_cause_has_a_sentence_with_all_its_params() {
        let node = || "node-2".to_owned();
        let no_route = || NoRoute {
            node: node(),
            block: "10.1.0.64/26".parse().unwrap(),
            words: "File exists".into(),
            more: 2,
        };
        let no_block = NoBlock {
            node: node(),
            more: 1,
            blocks: 4,
            empty: vec![],
            held: HeldBlocks::default(),
        };
        let path = || PathTrouble {
            from: "node-1".into(),
            to: node(),
            fault: Fault::Tcp,
            more: 2,
        };
        let causes = [
            Cause::Disabled,
            Cause::NoAddress,
            Cause::NotAttached,
            Cause::NodeExpected(node()),
            Cause::NodeFound(Found { node: node(), more: 1 }),
            Cause::NodeSilent(node(), 0),
            Cause::NodeBehind(node()),
            Cause::KernelRefused(node(), "File exists".into(), 4),
            Cause::HealingPaused(node(), "the route is left so".into()),
            Cause::NotReached(no_route()),
            Cause::PathFails(path()),
            Cause::NodeAwaited(node(), 0, 0),
            Cause::NoBlock(no_block),
            Cause::NoRoute(no_route()),
            Cause::PodsInTrouble(2, "File exists".into()),
            Cause::NodeCopied(node(), 0),
            Cause::PairFails(path()),
            Cause::NotProven(NotProven::NoOtherNode),
            Cause::NotProven(NotProven::CannotProbe("the port is taken".into())),
            Cause::NodePaused(node(), "anna".into(), 0),
        ];
        let codes: Vec<&str> = causes.iter().map(Cause::code).collect();
        assert_eq!(codes, [Cause::CODES, Cause::NODE_CODES].concat());
        for cause in causes {
            let reason = cause.reason(|_| "2026-11-21T12:01:31Z".to_owned());
            let text = reason_text(&reason, NOON, 0);
            assert!(
                i18n::codes::REASONS.iter().any(|(code, _)| *code == reason.code),
                "{} has no text",
                reason.code
            );
            assert!(!text.contains('{') && !text.is_empty(), "{text}");
        }
    }

    #[test]
    fn every_reason_of_clusters_plans_blocks_and_epochs_has_a_text() {
        for code in portolan_shared::stages::Because::CODES
            .iter()
            .chain(Former::CODES)
            .chain(&[EpochRow::CODE])
            .chain(&NodeRow::LOSS_CODES)
        {
            assert!(i18n::codes::REASONS.iter().any(|(known, _)| known == code), "{code}");
        }
    }

    #[test]
    fn what_others_took_away_is_said_in_words() {
        let mut reason = Reason {
            code: "node.lost".into(),
            params: vec![],
            sentence: String::new(),
            since: Some("2026-11-21T12:01:31Z".into()),
        };
        for (name, value) in [
            ("kind", "node_address"),
            ("n", "2"),
            ("by", "another program"),
            ("ms", "12"),
        ] {
            reason.params.push((name.into(), value.into()));
        }
        assert_eq!(
            reason_text(&reason, NOON, 0),
            "Taken away (another program, 12:01:31): addresses of the node (2). Back after 12 ms"
        );
    }

    #[test]
    fn a_silent_node_is_named_with_since_when_and_for_how_long() {
        let reason = Cause::NodeSilent("node-2".into(), 0).reason(|_| "2026-11-21T12:01:31Z".to_owned());
        assert_eq!(
            reason_text(&reason, NOON, 0),
            "node-2 has not reported since 12:01:31 (3\u{a0}min)"
        );
    }

    #[test]
    fn a_node_that_is_waited_for_is_said_with_when_it_was_heard() {
        let at = |at| match at {
            0 => "2026-11-21T12:04:27Z".to_owned(),
            _ => "2026-11-13T10:00:00Z".to_owned(),
        };
        let reason = Cause::NodeAwaited("node-2".into(), 0, 1).reason(at);
        let text = reason_text(&reason, NOON, 0);
        let (day, length) = (
            format::date(format::parse_time(&at(1)).unwrap(), 0),
            format::duration(4_250),
        );
        assert_eq!(
            text,
            format!("node-2 not heard since the server started {length} ago; last contact {day}")
        );
    }

    #[test]
    fn each_fault_of_a_path_is_said_in_words() {
        for &fault in Fault::ALL {
            let trouble = PathTrouble {
                from: "node-1".into(),
                to: "node-2".into(),
                fault,
                more: 0,
            };
            let text = reason_text(&Cause::PairFails(trouble).reason(|_| String::new()), NOON, 0);
            let words = text.strip_prefix("node-1 → node-2: ").unwrap();
            assert!(words.contains(' ') && words != fault.word(), "{text}");
        }
    }

    #[test]
    fn an_unknown_code_is_said_as_the_server_says_it() {
        let reason = Reason {
            code: "x".into(),
            params: vec![],
            sentence: "So it is.".into(),
            since: None,
        };
        assert_eq!(reason_text(&reason, 0, 0), "So it is.");
        let refused = Reason {
            code: "network.in_use".into(),
            params: vec![
                ("network".into(), "shop".into()),
                ("holders".into(), "port web-1".into()),
            ],
            ..reason
        };
        let text = reason_text(&refused, 0, 0);
        assert!(text.contains("shop") && text.contains("port web-1"), "{text}");
    }
}
