//! What is said of paths between nodes: nodes send each other probes, and tell which do not arrive.

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::words::words;

words! {
    /// What does not arrive on the path from one node to another; the worst first.
    #[derive(PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "snake_case")]
    Fault {
        /// Nothing does.
        Nothing "nothing" "nothing arrives";
        /// Pods' packets do not, the hosts' do.
        Pods "pods"
            "the host answers, pods do not: no route there, or a chain of a firewall that drops what is forwarded";
        /// Pods' UDP does not, their TCP does.
        Udp "udp" "pods' UDP does not arrive, their TCP does: a filter on the path";
        /// Pods' TCP does not, their UDP does.
        Tcp "tcp" "pods' TCP does not arrive, their UDP does: a filter on the path";
        /// Pods' largest packets do not, small ones do.
        FullSize "full_size" "pods' full-size packets do not arrive; small ones do: a smaller MTU on the path";
        /// All of pods does, and the host does not answer at its own address.
        Address "address" "pods answer, the host does not at its own address: a filter there drops UDP port 7157";
    }
}

impl Fault {
    /// Whether pods have trouble by it.
    pub const fn concerns_pods(self) -> bool {
        !matches!(self, Self::Address)
    }
}

/// A path that something does not arrive on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTrouble {
    /// The node that asked.
    pub from: String,
    /// The node that was asked.
    pub to: String,
    /// What does not arrive.
    pub fault: Fault,
    /// How many more paths of this kind the node has.
    pub more: u64,
}

impl PathTrouble {
    /// The code of a node, and of its pods, where it is so towards most others or by the word of two.
    pub const CODE: &'static str = "port.path_fails";
    /// The code of a node of which only single paths fail.
    pub const PAIR: &'static str = "node.pair_fails";

    /// As a row shows it; the node that was asked as `node-2 (+3)`.
    pub(super) fn reason(&self, code: &str) -> Reason {
        let Self { from, to, fault, more } = self;
        let to = match more {
            0 => to.clone(),
            more => format!("{to} (+{more})"),
        };
        let param = |name: &str, value: String| (name.to_owned(), value);
        Reason {
            code: code.to_owned(),
            params: vec![
                param("from", from.clone()),
                param("to", to.clone()),
                param("fault", fault.word().to_owned()),
            ],
            sentence: format!("{from} → {to}: {}.", fault.english()),
            since: None,
        }
    }
}

/// Why no packet proves a node's paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotProven {
    /// There is nobody to send one to.
    NoOtherNode,
    /// Its agent cannot send any, in its words.
    CannotProbe(String),
}

impl NotProven {
    /// The stable code.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::NoOtherNode => "node.no_other_node",
            Self::CannotProbe(_) => "node.cannot_probe",
        }
    }

    /// As a row shows it.
    pub(super) fn reason(&self) -> Reason {
        let (params, sentence) = match self {
            Self::NoOtherNode => (vec![], "Path not proven: no other node.".to_owned()),
            Self::CannotProbe(words) => (
                vec![("words".to_owned(), words.clone())],
                format!("Path not proven: {words}."),
            ),
        };
        Reason {
            code: self.code().to_owned(),
            params,
            sentence,
            since: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_known_by_its_word_and_said_with_both_ends() {
        for &fault in Fault::ALL {
            assert_eq!(Fault::of_word(fault.word()), Some(fault));
        }
        let trouble = |more| PathTrouble {
            from: "node-1".to_owned(),
            to: "node-2".to_owned(),
            fault: Fault::FullSize,
            more,
        };
        assert_eq!(
            trouble(0).reason(PathTrouble::PAIR).sentence,
            "node-1 → node-2: pods' full-size packets do not arrive; small ones do: a smaller MTU on the path."
        );
        assert!(
            trouble(2)
                .reason(PathTrouble::PAIR)
                .sentence
                .starts_with("node-1 → node-2 (+2): ")
        );
    }
}
