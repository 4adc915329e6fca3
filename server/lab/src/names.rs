//! How a lab and its parts are called. Pure.

use std::fmt;
use std::str::FromStr;

use crate::netns::Namespace;

/// What tells labs on one machine apart: 1 to 12 of `[a-z0-9]`. It is part of the name of each of its namespaces; a dash
/// is not allowed in it, so that no lab's prefix is another's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabId(String);

/// Why a text is no [`LabId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a lab's name is 1 to 12 of a-z and 0-9, not {0:?}")]
pub struct BadLabId(String);

impl FromStr for LabId {
    type Err = BadLabId;

    fn from_str(text: &str) -> Result<Self, BadLabId> {
        let fits = (1..=12).contains(&text.len());
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if fits && plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadLabId(text.to_owned()))
        }
    }
}

impl fmt::Display for LabId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl LabId {
    /// An id from a number, such as the process id of the lab.
    pub fn from_number(number: u32) -> Self {
        Self(format!("{number:x}"))
    }

    /// What every namespace of this lab begins with, and none of any other.
    pub fn prefix(&self) -> String {
        format!("ptl-{self}-")
    }

    /// The namespace that holds the bridges.
    pub fn switch(&self) -> Namespace {
        self.namespace("switch")
    }

    /// The namespace with the control plane's endpoint for agents.
    pub fn provider(&self) -> Namespace {
        self.namespace("provider")
    }

    /// The namespace of a host. Clusters of two projects may have one name: the number tells hosts apart, the rest is
    /// for people.
    pub fn host(&self, number: usize, cluster: &str, name: &str) -> Namespace {
        self.namespace(&format!("host-{number}.{cluster}.{name}"))
    }

    /// The namespace of a host's end of probes; its agent makes it.
    pub fn probes(&self, number: usize) -> Namespace {
        self.namespace(&format!("probes-{number}"))
    }

    /// The namespace of a pod.
    pub fn pod(&self, name: &str) -> Namespace {
        self.namespace(&format!("pod-{name}"))
    }

    fn namespace(&self, rest: &str) -> Namespace {
        Namespace::named(format!("{}{rest}", self.prefix()))
    }
}

/// Whether this may name a host or a pod: a DNS label of at most 40 characters.
pub fn is_label(text: &str) -> bool {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (1..=40).contains(&text.len()) && plain && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_id_cannot_make_one_labs_prefix_the_start_of_anothers() {
        for good in ["a", "shop1", "0123456789ab"] {
            assert!(good.parse::<LabId>().is_ok(), "{good}");
        }
        for bad in ["", "a-b", "A", "0123456789abc", "a/b", "ä"] {
            assert!(bad.parse::<LabId>().is_err(), "{bad}");
        }
        let (short, long) = (LabId("a".into()), LabId("ab".into()));
        assert!(!long.prefix().starts_with(&short.prefix()));
    }

    #[test]
    fn labels_are_what_a_file_name_and_a_dns_name_can_take() {
        assert!(is_label("web-1") && is_label("x"));
        for bad in ["", "-a", "a-", "a/b", "a.b", "..", "A", &"a".repeat(41)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
