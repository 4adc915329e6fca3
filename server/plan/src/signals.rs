//! What the kernel announces, and what of it calls for a round.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use portolan_shared::addr::Cidr;

use crate::desired::Desired;
use crate::owned::{ROUTE_PROTOCOL, is_pod_link};
use crate::routes::{MAIN_TABLE, POD_GATEWAY_V4, POD_GATEWAY_V6, RouteKey};
use crate::step::Item;

/// Something that happened in the kernel and was not our own doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// What happened.
    pub event: Event,
    /// Who did it, as a name for people; kernels do not tell it of everything.
    pub by: Option<String>,
}

/// What happened in a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
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

impl From<Event> for News {
    /// Nobody knows who did it.
    fn from(event: Event) -> Self {
        Self { event, by: None }
    }
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
    /// Who did something to an item last, as far as that was told.
    pub by: BTreeMap<Item, String>,
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
        if let (Some(item), Some(by)) = (concerned(&news.event), news.by) {
            self.by.insert(item, by);
        }
        match news.event {
            Event::Link { name, up } => {
                // A pod's link that comes up was made just now, or was heard to go down before.
                let concerns = !(up && is_pod_link(&name));
                if !up {
                    self.links_down.insert(name);
                }
                concerns
            }
            Event::Address { address, gone } => {
                let concerns = (gone && address == IpAddr::V6(POD_GATEWAY_V6)) || !is_link_local_v6(address);
                if gone && concerns {
                    self.addresses_gone.insert(address);
                }
                concerns
            }
            Event::Route { protocol, .. } if protocol == ROUTE_PROTOCOL => true,
            Event::Route { table, prefix, .. } => {
                let meets = |range: &Cidr| range.contains(prefix.first()) && range.prefix() <= prefix.prefix();
                let concerns = table == MAIN_TABLE && desired.pod_ranges.iter().any(meets);
                self.foreign |= concerns;
                concerns
            }
            Event::ForwardingOff => true,
            Event::Filter | Event::Overrun => {
                self.foreign = true;
                true
            }
        }
    }
}

/// The item that an event may have taken away.
fn concerned(event: &Event) -> Option<Item> {
    match event {
        Event::Link { name, up: false } => Some(Item::PodLink(name.clone())),
        Event::Address { address, gone: true } if *address == IpAddr::V4(POD_GATEWAY_V4) => Some(Item::Gateway),
        Event::Address { address, gone: true } => Some(Item::NodeAddress(*address)),
        Event::Route { prefix, .. } => Some(Item::Route(RouteKey::ours(*prefix))),
        _ => None,
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

    fn wakes(event: Event) -> (bool, Signals) {
        let mut signals = Signals::default();
        (signals.note(event.into(), &desired()), signals)
    }

    fn route(prefix: &str, protocol: u8) -> Event {
        Event::Route {
            table: MAIN_TABLE,
            prefix: cidr(prefix),
            protocol,
        }
    }

    #[test]
    fn what_concerns_pods_calls_for_a_round_and_nothing_else_does() {
        let link = |name: &str, up| Event::Link { name: name.into(), up };
        let address = |text, gone| Event::Address {
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
            (Event::ForwardingOff, true),
            (Event::Filter, true),
            (Event::Overrun, true),
        ] {
            assert_eq!(wakes(news.clone()).0, expected, "{news:?}");
        }
        let elsewhere = Event::Route {
            table: 100,
            prefix: cidr("10.1.0.7/32"),
            protocol: 4,
        };
        assert_eq!(wakes(elsewhere), (false, Signals::default()));
    }

    #[test]
    fn who_did_it_is_remembered_by_item() {
        let mut signals = Signals::default();
        let by = Some("tool, process 7".to_owned());
        for event in [
            route("10.1.0.64/26", ROUTE_PROTOCOL),
            Event::Link {
                name: link_name(1),
                up: false,
            },
            Event::ForwardingOff,
        ] {
            let by = by.clone();
            signals.note(News { event, by }, &desired());
        }
        let items: Vec<_> = signals.by.keys().cloned().collect();
        let route = Item::Route(RouteKey::ours(cidr("10.1.0.64/26")));
        assert_eq!(items, [Item::PodLink(link_name(1)), route]);
    }

    #[test]
    fn what_happened_only_for_a_moment_is_remembered() {
        let mut signals = Signals::default();
        for up in [false, true] {
            let event = Event::Link {
                name: "eth0".into(),
                up,
            };
            signals.note(event.into(), &desired());
        }
        for gone in [true, false] {
            let address = ip("192.168.0.1");
            signals.note(Event::Address { address, gone }.into(), &desired());
        }
        assert!(signals.links_down.contains("eth0") && signals.addresses_gone.contains(&ip("192.168.0.1")));
        assert!(!signals.foreign);
        assert!(wakes(route("10.1.0.7/32", 4)).1.foreign && wakes(Event::Overrun).1.foreign);
    }
}
