//! Blocks of pod addresses in quarantine, at `…/clusters/{id}/quarantined-blocks`: nobody else is leased them before
//! their holder was heard to have let go, or somebody states that its machine is off.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use crate::addr::Cidr;
use crate::ids::BlockId;
use crate::refusal::Param;
use crate::status::Reason;

/// A block in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuarantinedBlockRow {
    /// The id that it was leased under.
    pub id: BlockId,
    /// Its addresses.
    pub cidr: Cidr,
    /// Name of the node whose machine may still use it.
    pub node: String,
    /// Since when it is in quarantine.
    #[cfg_attr(feature = "schema", schemars(with = "crate::time::Time"))]
    pub since: String,
    /// Why: `block.node_removed` or `block.other_machine`.
    pub reason: Reason,
}

/// Body of `POST …/quarantined-blocks/{block}/release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReleaseBlock {
    /// Name of the node whose machine is off: whoever sends this says that nothing uses the block any more.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 63), example = &"node-1"))]
    pub machine_off: String,
}

/// Whose machine it is that may still use a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// That of a node that was removed.
    Removed,
    /// The one that was this node before another machine became it.
    Replaced,
}

impl Former {
    /// All codes, for the tests that every language has a sentence for each.
    pub const CODES: &'static [&'static str] = &["block.node_removed", "block.other_machine"];
}

/// A block that a machine holds that is no node any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBlock {
    /// Its addresses.
    pub cidr: Cidr,
    /// Name of the node that the machine was.
    pub node: String,
    /// Why it is that node no more.
    pub former: Former,
}

impl HeldBlock {
    /// As a row shows it; `since` is RFC 3339.
    pub fn reason(&self, since: String) -> Reason {
        let node = &self.node;
        let (code, sentence) = match self.former {
            Former::Removed => (
                Former::CODES[0],
                format!("{node} was removed and has not been heard to have let go of it."),
            ),
            Former::Replaced => (
                Former::CODES[1],
                format!("Another machine is {node} now, and the one before has not been heard to have let go of it."),
            ),
        };
        Reason {
            code: code.to_owned(),
            params: vec![("node".to_owned(), node.clone())],
            sentence,
            since: Some(since),
        }
    }
}

/// Most blocks that a sentence names.
const NAMED: usize = 3;

/// The end of a sentence that says that no block is free: those that are held by machines that are no nodes any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldBlocks(pub Vec<HeldBlock>);

impl HeldBlocks {
    /// How many are not named.
    fn more(&self) -> usize {
        self.0.len().saturating_sub(NAMED)
    }
}

impl Display for HeldBlocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for HeldBlock { cidr, node, former } in self.0.iter().take(NAMED) {
            match former {
                Former::Removed => write!(f, "; {cidr} is held by removed {node}, which has not let go")?,
                Former::Replaced => write!(
                    f,
                    "; {cidr} is held by the machine that was {node} before, which has not let go"
                )?,
            }
        }
        match self.more() {
            0 => Ok(()),
            more => write!(f, "; {more} more are held in such a way"),
        }
    }
}

impl Param for HeldBlocks {
    /// `10.1.0.0/26 (node-1), 10.1.0.64/26 (node-1) +2`; `-` if there are none.
    fn param(&self) -> String {
        let named = self.0.iter().take(NAMED);
        let named: Vec<String> = named.map(|block| format!("{} ({})", block.cidr, block.node)).collect();
        match (named.is_empty(), self.more()) {
            (true, _) => "-".to_owned(),
            (false, 0) => named.join(", "),
            (false, more) => format!("{} +{more}", named.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(n: u8, former: Former) -> HeldBlock {
        HeldBlock {
            cidr: format!("10.1.{n}.0/26").parse().unwrap(),
            node: format!("node-{n}"),
            former,
        }
    }

    #[test]
    fn holders_are_named_and_beyond_three_counted() {
        let said = |blocks: &[HeldBlock]| {
            let held = HeldBlocks(blocks.to_vec());
            (held.to_string(), held.param())
        };
        assert_eq!(said(&[]), (String::new(), "-".to_owned()));
        let (one, other) = (block(1, Former::Removed), block(2, Former::Replaced));
        assert_eq!(
            said(&[one.clone(), other.clone()]),
            (
                "; 10.1.1.0/26 is held by removed node-1, which has not let go; 10.1.2.0/26 is held by the machine that \
                 was node-2 before, which has not let go"
                    .to_owned(),
                "10.1.1.0/26 (node-1), 10.1.2.0/26 (node-2)".to_owned()
            )
        );
        let (sentence, param) = said(&vec![one.clone(); 5]);
        assert!(sentence.ends_with("; 2 more are held in such a way"), "{sentence}");
        assert!(param.ends_with(" +2"), "{param}");
        let codes = [one, other].map(|block| block.reason(String::new()).code);
        assert_eq!(codes, Former::CODES);
    }
}
