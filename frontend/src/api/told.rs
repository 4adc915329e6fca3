//! What is told of something by a reason, in a list of such things.

use portolan_shared::status::Reason;
use serde::Deserialize;

/// A block in quarantine or an epoch, as far as the console shows it. One type for both, since a browser downloads what
/// reads a type for each of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Of a block: its addresses.
    #[serde(default)]
    pub cidr: String,
    /// Of a block: name of the node whose machine holds it.
    #[serde(default)]
    pub node: String,
    /// What is told.
    pub reason: Reason,
}

#[cfg(test)]
mod tests {
    use portolan_shared::kinds::epochs::EpochRow;
    use portolan_shared::kinds::quarantined_blocks::{Former, HeldBlock, QuarantinedBlockRow};

    use super::*;

    #[test]
    fn it_reads_what_the_server_writes() {
        let told = |text: String| serde_json::from_str::<Told>(&text).unwrap();
        let id = "04040404-0404-0404-0404-040404040404";
        let since = || "2026-11-21T12:04:31Z".to_owned();
        let held = HeldBlock {
            cidr: "10.1.0.0/26".parse().unwrap(),
            node: "node-1".to_owned(),
            former: Former::Removed,
        };
        let reason = held.reason(since());
        let block = QuarantinedBlockRow {
            id: id.parse().unwrap(),
            cidr: held.cidr,
            node: held.node,
            since: since(),
            reason: reason.clone(),
        };
        let expected = Told {
            id: id.to_owned(),
            cidr: "10.1.0.0/26".to_owned(),
            node: "node-1".to_owned(),
            reason,
        };
        assert_eq!(told(serde_json::to_string(&block).unwrap()), expected);
        let epoch = EpochRow {
            id: id.parse().unwrap(),
            began_at: since(),
            put_back_to: Some(26),
            lost_to: 90,
            shown_by: "node-1".to_owned(),
            blocks_found: 0,
            nodes_found: Vec::new(),
            nodes_waiting: Vec::new(),
            disputes: Vec::new(),
        };
        let epoch = told(serde_json::to_string(&epoch.told()).unwrap());
        assert_eq!((epoch.id.as_str(), epoch.reason.code.as_str()), (id, EpochRow::CODE));
    }
}
