//! When the database was put back, as agents have shown: a line each.

use leptos::prelude::*;
use portolan_shared::kinds::epochs::EpochRow;
use portolan_shared::v1::List;

use crate::api::read::ALL_KINDS;
use crate::api::{Interest, url, use_read};
use crate::components::icon::{Icon, icon};
use crate::components::maybe;
use crate::components::time::time;
use crate::i18n::{Key, format, tp};

/// Most lines: earlier epochs are in the audit.
const MOST: usize = 3;

/// Most names of a line; others are counted.
const NAMED: usize = 3;

/// Names in one line; `-` if there are none.
fn named(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match (names.is_empty(), more) {
        (true, _) => "-".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} +{more}", names.join(", ")),
    }
}

/// What became of an epoch, in words.
fn line(epoch: &EpochRow) -> String {
    let disputes = epoch.disputes.iter();
    let disputes = disputes.map(|dispute| format!("{} ({})", dispute.cidr, dispute.node));
    tp(
        Key::EpochLine,
        &[
            (
                "revision",
                &epoch.put_back_to.map_or_else(|| "-".to_owned(), format::number),
            ),
            ("lost", &format::number(epoch.lost_to)),
            ("node", &epoch.shown_by),
            ("blocks", &format::number(epoch.blocks_found)),
            ("nodes", &named(epoch.nodes_waiting.clone())),
            ("disputes", &named(disputes.collect())),
        ],
    )
}

/// The newest epochs, if there are any.
pub(super) fn epochs() -> AnyView {
    let read = use_read::<List<EpochRow>>(Signal::stored(url::EPOCHS.to_owned()), Interest::anywhere(ALL_KINDS));
    maybe(move || {
        let list = read.data.get()?;
        let line = |epoch: &EpochRow| {
            view! { <p class="notice">{icon(Icon::Warning)} <span>{time(epoch.began_at.clone())} " " {line(epoch)}</span></p> }
                .into_any()
        };
        let lines: Vec<AnyView> = list.items.iter().take(MOST).map(line).collect();
        Some(lines.into_any())
    })
}

#[cfg(test)]
mod tests {
    use portolan_shared::kinds::epochs::Dispute;

    use super::*;

    #[test]
    fn a_line_says_what_was_found_and_what_is_left_to_do() {
        let mut epoch = EpochRow {
            id: "04040404-0404-0404-0404-040404040404".parse().unwrap(),
            began_at: "2026-11-21T12:04:31Z".to_owned(),
            put_back_to: Some(26),
            lost_to: 90,
            shown_by: "node-1".to_owned(),
            blocks_found: 61,
            nodes_found: Vec::new(),
            nodes_waiting: vec!["node-3".to_owned()],
            disputes: vec![Dispute {
                cidr: "10.1.0.0/26".parse().unwrap(),
                node: "node-4".to_owned(),
                code: "block.leased".to_owned(),
                sentence: String::new(),
            }],
        };
        assert_eq!(
            line(&epoch),
            "The database was put back: revision 26 of 90. Shown by node-1; blocks found again: 61; nodes that wait: \
             node-3; in dispute: 10.1.0.0/26 (node-4)"
        );
        (epoch.put_back_to, epoch.nodes_waiting, epoch.disputes) = (None, Vec::new(), Vec::new());
        assert_eq!(named(vec!["a".to_owned(); 5]), "a, a, a +2");
        assert!(
            line(&epoch).ends_with("nodes that wait: -; in dispute: -"),
            "{}",
            line(&epoch)
        );
    }
}
