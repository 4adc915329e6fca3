//! Epochs: each begins when an agent shows that the store had another history, at `/portolan/v1/epochs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::ids::{BadId, NodeId, id};
use crate::status::Reason;

id!(
    /// An epoch.
    EpochId, hyphenated
);

/// A block that an agent holds by a lease of the history that was lost, and that could not be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dispute {
    /// Its addresses.
    pub cidr: crate::addr::Cidr,
    /// Name of the node that holds it by the old lease, or its id.
    pub node: String,
    /// Why it could not be taken back, with what has it now: a stable code.
    pub code: String,
    /// The same as a sentence.
    pub sentence: String,
}

/// An epoch in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EpochRow {
    /// Drawn by the server.
    pub id: EpochId,
    /// When an agent first showed it.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub began_at: String,
    /// The newest revision that both histories have; `null`: none that is known.
    pub put_back_to: Option<u64>,
    /// The newest revision of the other history that was shown.
    pub lost_to: u64,
    /// Name of the node that showed it first.
    pub shown_by: String,
    /// Blocks of pod addresses that were taken back by their leases.
    pub blocks_found: u64,
    /// Nodes that the store did not know.
    pub nodes_found: Vec<NodeId>,
    /// Names of those of them that still wait to be admitted or removed.
    pub nodes_waiting: Vec<String>,
    /// Blocks in dispute.
    pub disputes: Vec<Dispute>,
}

/// An epoch in a list, with what became of it in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToldEpoch {
    /// The epoch.
    #[serde(flatten)]
    pub epoch: EpochRow,
    /// What became of it (`epoch.began`).
    pub reason: Reason,
}

/// Most names of a kind in the sentence.
const NAMED: usize = 3;

/// Names in one line: at most [`NAMED`], then how many more; `-` if there are none.
fn named(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    match (names.is_empty(), more) {
        (true, _) => "-".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} +{more}", names.join(", ")),
    }
}

impl EpochRow {
    /// The code of its sentence.
    pub const CODE: &'static str = "epoch.began";

    /// With what became of it in a sentence.
    pub fn told(self) -> ToldEpoch {
        let disputes = self.disputes.iter();
        let disputes = named(
            disputes
                .map(|dispute| format!("{} ({})", dispute.cidr, dispute.node))
                .collect(),
        );
        let nodes = named(self.nodes_waiting.clone());
        let revision = self.put_back_to.map_or_else(|| "-".to_owned(), |fork| fork.to_string());
        let Self {
            lost_to,
            shown_by,
            blocks_found,
            ..
        } = &self;
        let sentence = format!(
            "The database was put back: revision {revision} of {lost_to}. Shown by {shown_by}; blocks found again: \
             {blocks_found}; nodes that wait: {nodes}; in dispute: {disputes}."
        );
        let params = [
            ("revision", revision),
            ("lost", lost_to.to_string()),
            ("node", shown_by.clone()),
            ("blocks", blocks_found.to_string()),
            ("nodes", nodes),
            ("disputes", disputes),
        ];
        let reason = Reason {
            code: Self::CODE.to_owned(),
            params: params.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            sentence,
            since: Some(self.began_at.clone()),
        };
        ToldEpoch { epoch: self, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_says_what_was_found_and_what_is_left_to_do() {
        let epoch = EpochRow {
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
            epoch.clone().told().reason.sentence,
            "The database was put back: revision 26 of 90. Shown by node-1; blocks found again: 61; nodes that wait: \
             node-3; in dispute: 10.1.0.0/26 (node-4)."
        );
        let nothing = EpochRow {
            put_back_to: None,
            nodes_waiting: vec!["node-3".to_owned(); 5],
            disputes: Vec::new(),
            ..epoch
        };
        let sentence = nothing.told().reason.sentence;
        assert!(sentence.contains("revision - of 90"), "{sentence}");
        assert!(
            sentence.ends_with("wait: node-3, node-3, node-3 +2; in dispute: -."),
            "{sentence}"
        );
    }
}
