//! What others take away from a node's kernel.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// What kind of thing was lost, which is also why, as far as that can be seen.
    #[derive(PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    LossKind {
        /// An address of the node is not on its host any more. With an IPv4 address all routes go that name it as their source.
        NodeAddress "node_address" "addresses of the node";
        /// A link of the node that is no pod's was set down, and routes went with it.
        Uplink "uplink" "links, set down";
        /// Forwarding was turned off.
        Forwarding "forwarding" "forwarding";
        /// The pods' gateway was taken off `lo`.
        Gateway "gateway" "the pods' gateway on lo";
        /// The host's end of a pod's link was set down, lost its gateway address, or is gone.
        PodLink "pod_link" "links of pods";
        /// Routes were removed or replaced.
        Routes "routes" "routes";
        /// The packet filter's rules or entries that lead host ports to pods were removed.
        HostPorts "host_ports" "host ports of pods";
    }
}

impl LossKind {
    /// What was taken away, within a sentence.
    pub const fn what(self) -> &'static str {
        self.english()
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn stores_and_wires_write_one_word() {
        for kind in LossKind::ALL {
            let word: StrDeserializer<'_, Error> = kind.word().into_deserializer();
            assert_eq!(LossKind::deserialize(word), Ok(*kind));
            assert_eq!(LossKind::of_word(kind.word()), Some(*kind));
        }
        assert_eq!(LossKind::of_word("links"), None);
    }
}
