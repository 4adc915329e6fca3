//! Who has what was asked for, or stands in its way: what refusals and plans name.
//!
//! Told twice: as English words in a sentence (`Display`), and as the value of a parameter
//! ([`Param`]), which a console says in its reader's language. A value has a
//! line for each holder, as names hold no control characters: `port@ports/ID web-1` is a word, where
//! it is in the project (left out where it has no page) and a name; `gateway` is a word alone, `3 pod`
//! a number and a word.

use std::fmt::{self, Display, Formatter};

use crate::ids::{ClusterId, PortId, SubnetId};
use crate::refusal::Param;
use crate::words::words;

words! {
    /// What is named.
    Named {
        /// A port, by name or id.
        Port "port" "port";
        /// A pod, by namespace and name.
        Pod "pod" "pod";
        /// A node.
        Node "node" "node";
        /// A cluster.
        Cluster "cluster" "cluster";
        /// A subnet, by name or id.
        Subnet "subnet" "subnet";
        /// A cluster's service addresses, by the cluster.
        Services "services" "the services of cluster";
        /// A cluster's external IP, by the cluster.
        ExternalIp "external_ip" "the external IP of cluster";
        /// A network's shadow port, by the network's id; told to the provider only.
        ShadowPort "shadow_port" "the shadow port of network";
    }
}

words! {
    /// What needs no name.
    Plain {
        /// The subnet's gateway.
        Gateway "gateway" "the gateway";
        /// The provider: all that a customer learns of what is hidden.
        Provider "provider" "the provider";
        /// The range of nodes' addresses in the same request.
        NodeRange "node_range" "the node range";
        /// The range of pods' addresses in the same request.
        PodRange "pod_range" "the pod range";
        /// The service addresses in the same request.
        ServiceRange "service_range" "the service range";
        /// A port of a project that the caller does not see.
        ForeignPort "foreign_port" "a port of another project";
        /// Portolan, which needs what is its own.
        Portolan "portolan" "Portolan itself";
    }
}

words! {
    /// What is counted: its English for one, then for another number.
    Several {
        /// Those that are not named for want of room.
        More "more" "{} more|{} more";
        /// Ports of projects that the caller does not see.
        ForeignPort "foreign_port" "{} port of another project|{} ports of another project";
        /// Networks.
        Network "network" "{} network|{} networks";
        /// Subnets.
        Subnet "subnet" "{} subnet|{} subnets";
        /// Ports.
        Port "port" "{} port|{} ports";
        /// Pods.
        Pod "pod" "{} pod|{} pods";
        /// Clusters.
        Cluster "cluster" "{} cluster|{} clusters";
        /// Nodes.
        Node "node" "{} node|{} nodes";
        /// Gateways.
        Gateway "gateway" "{} gateway|{} gateways";
        /// Addresses of a cluster as a whole.
        ClusterAddress "cluster_address" "{} cluster address|{} cluster addresses";
        /// Addresses that nothing is attached to.
        Reserved "reserved" "{} reserved|{} reserved";
        /// Devices.
        Device "device" "{} device|{} devices";
        /// Addresses of the provider's.
        Provider "provider" "{} of the provider|{} of the provider";
    }
}

/// Somebody who has what was asked for, or a number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// By its name; and where it is in the project, if the reader finds a page there.
    Named(Named, String, Option<At>),
    /// A pod by namespace and name, and the name of its node; and where it is.
    PodOn(String, String, Option<At>),
    /// What needs no name.
    The(Plain),
    /// So many; not 0.
    Count(Several, u64),
}

/// Where something is, below its project in the API and in the console alike: `ports/ID`. Pods and
/// nodes are where their ports are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// A port.
    Port(PortId),
    /// A subnet.
    Subnet(SubnetId),
    /// A cluster.
    Cluster(ClusterId),
}

impl Display for At {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(id) => write!(f, "ports/{id}"),
            Self::Subnet(id) => write!(f, "subnets/{id}"),
            Self::Cluster(id) => write!(f, "clusters/{id}"),
        }
    }
}

impl Holder {
    /// A cluster, the holder most often named.
    pub fn cluster(name: impl Into<String>, id: ClusterId) -> Self {
        Self::Named(Named::Cluster, name.into(), Some(At::Cluster(id)))
    }
}

/// `word` or `word@ports/ID`.
fn word_at(word: &str, at: Option<&At>) -> String {
    at.map_or_else(|| word.to_owned(), |at| format!("{word}@{at}"))
}

impl Display for Holder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(kind, name, _) => write!(f, "{} {name}", kind.english()),
            Self::PodOn(pod, node, _) => write!(f, "pod {pod} on {node}"),
            Self::The(plain) => f.write_str(plain.english()),
            Self::Count(kind, n) => {
                let (one, many) = kind.english().split_once('|').unwrap_or((kind.english(), ""));
                let form = if *n == 1 { one } else { many };
                f.write_str(&form.replace("{}", &n.to_string()))
            }
        }
    }
}

impl Param for Holder {
    fn param(&self) -> String {
        match self {
            Self::Named(kind, name, at) => format!("{} {name}", word_at(kind.word(), at.as_ref())),
            Self::PodOn(pod, node, at) => format!("{} {pod} {node}", word_at("pod_on", at.as_ref())),
            Self::The(plain) => plain.word().to_owned(),
            Self::Count(kind, n) => format!("{n} {}", kind.word()),
        }
    }
}

/// Several holders; a sentence says `a`, `a and b`, `a, b and c`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders(pub Vec<Holder>);

impl From<Holder> for Holders {
    fn from(one: Holder) -> Self {
        Self(vec![one])
    }
}

impl Display for Holders {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, holder) in self.0.iter().enumerate() {
            match place {
                0 => {}
                _ if place + 1 == self.0.len() => f.write_str(" and ")?,
                _ => f.write_str(", ")?,
            }
            write!(f, "{holder}")?;
        }
        Ok(())
    }
}

impl Param for Holders {
    fn param(&self) -> String {
        let mut lines = String::new();
        for holder in &self.0 {
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.push_str(&holder.param());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_told_in_a_sentence_and_a_line_each() {
        let told = |holders: &[Holder]| Holders(holders.to_vec()).to_string();
        let port = Holder::Named(Named::Port, "web-1".into(), Some(At::Port(PortId::from_bytes([1; 16]))));
        let pod = Holder::PodOn("default/db-0".into(), "node-2".into(), None);
        let more = Holder::Count(Several::More, 3);
        assert_eq!(told(&[]), "");
        assert_eq!(told(std::slice::from_ref(&port)), "port web-1");
        assert_eq!(told(&[port.clone(), more.clone()]), "port web-1 and 3 more");
        let three = [port, pod, Holder::The(Plain::ForeignPort)];
        assert_eq!(
            told(&three),
            "port web-1, pod default/db-0 on node-2 and a port of another project"
        );
        assert_eq!(
            Holders(three.to_vec()).param(),
            "port@ports/01010101-0101-0101-0101-010101010101 web-1\npod_on default/db-0 node-2\nforeign_port"
        );
        assert_eq!(Holder::The(Plain::Provider).param(), "provider");
    }

    #[test]
    fn one_word_means_one_thing() {
        for words in [
            Named::ALL.iter().map(|kind| kind.word()).collect::<Vec<_>>(),
            Plain::ALL.iter().map(|kind| kind.word()).collect(),
            Several::ALL.iter().map(|kind| kind.word()).collect(),
        ] {
            let unique: std::collections::HashSet<_> = words.iter().collect();
            assert_eq!(unique.len(), words.len());
            assert!(
                words
                    .iter()
                    .all(|word| !word.contains([' ', '\n']) && !word.starts_with(|c: char| c.is_ascii_digit()))
            );
        }
    }
}
