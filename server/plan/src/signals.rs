//! What the kernel announces, and what of it calls for a round.

use std::collections::BTreeSet;
use std::net::IpAddr;

use portolan_shared::addr::Cidr;

use crate::desired::Desired;
use crate::owned::{ROUTE_PROTOCOL, is_pod_link};
use crate::routes::{MAIN_TABLE, POD_GATEWAY_V6};

/// Something that happened in the kernel and was not our own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A link was set up or down, was renamed, has another MTU, or is gone.
    Link {
        /// Its name.
        name: String,
        /// Whether it is up now; false for one that is gone.
        up: bool,
    },
    /// An address was added or removed.
    Address {
        /// The address.
        address: IpAddr,
        /// Whether it was removed.
        gone: bool,
    },
    /// A route was added, replaced or removed.
    Route {
        /// Its table.
        table: u32,
        /// Its destination.
        prefix: Cidr,
        /// `rtm_protocol`.
        protocol: u8,
    },
    /// Forwarding of a family was turned off.
    ForwardingOff,
    /// The packet filter has other rules than before.
    Filter,
    /// News were lost: anything may have happened.
    Overrun,
}

/// What was announced since the kernel was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// What others have is to be read again.
    pub foreign: bool,
    /// Links that went down, if only for a moment.
    pub links_down: BTreeSet<String>,
    /// Addresses that went, if only for a moment.
    pub addresses_gone: BTreeSet<IpAddr>,
}

impl Signals {
    /// Nothing is known: everything is to be read.
    pub fn everything() -> Self {
        Self {
            foreign: true,
            ..Self::default()
        }
    }

    /// Notes what happened. Returns whether the kernel may not be as wanted any more, so that a round
    /// has to look.
    pub fn note(&mut self, news: News, desired: &Desired) -> bool {
        match news {
            News::Link { name, up } => {
                // A pod's link that comes up was made just now, or was heard to go down before.
                let concerns = !(up && is_pod_link(&name));
                if !up {
                    self.links_down.insert(name);
                }
                concerns
            }
            News::Address { address, gone } => {
                let concerns = (gone && address == IpAddr::V6(POD_GATEWAY_V6)) || !is_link_local_v6(address);
                if gone && concerns {
                    self.addresses_gone.insert(address);
                }
                concerns
            }
            News::Route { protocol, .. } if protocol == ROUTE_PROTOCOL => true,
            News::Route { table, prefix, .. } => {
                let meets = |range: &Cidr| range.contains(prefix.first()) && range.prefix() <= prefix.prefix();
                let concerns = table == MAIN_TABLE && desired.pod_ranges.iter().any(meets);
                self.foreign |= concerns;
                concerns
            }
            News::ForwardingOff => true,
            News::Filter | News::Overrun => {
                self.foreign = true;
                true
            }
        }
    }
}

/// Kernels give one to each link by themselves.
fn is_link_local_v6(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cidr, desired, ip, link_name};

    fn wakes(news: News) -> (bool, Signals) {
        let mut signals = Signals::default();
        (signals.note(news, &desired()), signals)
    }

    fn route(prefix: &str, protocol: u8) -> News {
        News::Route {
            table: MAIN_TABLE,
            prefix: cidr(prefix),
            protocol,
        }
    }

    #[test]
    fn what_concerns_pods_calls_for_a_round_and_nothing_else_does() {
        let link = |name: &str, up| News::Link { name: name.into(), up };
        let address = |text, gone| News::Address {
            address: ip(text),
            gone,
        };
        for (news, expected) in [
            (link("eth0", false), true),
            (link("eth0", true), true),
            (link(&link_name(1), false), true),
            (link(&link_name(1), true), false),
            (address("192.168.0.1", true), true),
            (address("192.168.0.1", false), true),
            (address("fe80::1", true), true),
            (address("fe80::1", false), false),
            (address("fe80::2", true), false),
            (route("10.9.0.0/26", ROUTE_PROTOCOL), true),
            (route("10.1.0.7/32", 4), true),
            (route("10.1.0.0/16", 4), true),
            (route("0.0.0.0/0", 4), false),
            (route("10.2.0.0/24", 4), false),
            (News::ForwardingOff, true),
            (News::Filter, true),
            (News::Overrun, true),
        ] {
            assert_eq!(wakes(news.clone()).0, expected, "{news:?}");
        }
        let elsewhere = News::Route {
            table: 100,
            prefix: cidr("10.1.0.7/32"),
            protocol: 4,
        };
        assert_eq!(wakes(elsewhere), (false, Signals::default()));
    }

    #[test]
    fn what_happened_only_for_a_moment_is_remembered() {
        let mut signals = Signals::default();
        for up in [false, true] {
            signals.note(
                News::Link {
                    name: "eth0".into(),
                    up,
                },
                &desired(),
            );
        }
        for gone in [true, false] {
            let address = ip("192.168.0.1");
            signals.note(News::Address { address, gone }, &desired());
        }
        assert!(signals.links_down.contains("eth0") && signals.addresses_gone.contains(&ip("192.168.0.1")));
        assert!(!signals.foreign);
        assert!(wakes(route("10.1.0.7/32", 4)).1.foreign && wakes(News::Overrun).1.foreign);
    }
}
