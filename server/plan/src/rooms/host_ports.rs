//! Host ports of pods: entries of the packet filter's maps, and the rules that look them up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use portolan_shared::addr::Family;

use crate::host::World;
use crate::pod::pod;
use crate::ports::PortSlot;
use crate::step::{Change, Item, Object, Plan, Want};

pub(crate) fn plan(world: &World<'_>, plan: &mut Plan) {
    let mut wanted: BTreeMap<PortSlot, (Option<SocketAddr>, Object)> = BTreeMap::new();
    // Slots that are left as they are: whoever makes the pod's link fills them.
    let mut kept: BTreeSet<PortSlot> = BTreeSet::new();
    // Addresses of pods whose host ports are not known.
    let mut held: BTreeSet<IpAddr> = BTreeSet::new();
    for allocation in world.pods {
        let slots = pod(
            &allocation.link,
            &allocation.addresses,
            &allocation.host_ports,
            &world.local,
        )
        .ports;
        if allocation.id.is_none() && allocation.probes.is_none() {
            held.extend(&allocation.addresses);
        }
        if allocation.settled && world.observed.links.contains_key(&allocation.link) {
            let object = allocation.object();
            wanted.extend(slots.into_iter().map(|(slot, to)| (slot, (to, object))));
        } else {
            kept.extend(slots.into_iter().map(|(slot, _)| slot));
        }
    }
    let families: BTreeSet<Family> = wanted.keys().map(PortSlot::family).collect();
    for family in families {
        plan.wanted.insert(Item::PortRules(family), Want::Present);
        if !world.observed.port_rules.contains(&family) {
            plan.step(Object::Host, Change::PutPortRules(family));
        }
    }
    for (slot, (to, object)) in &wanted {
        if world.observed.host_ports.get(slot) != Some(to) {
            let (slot, to) = (*slot, *to);
            plan.step(*object, Change::PutHostPort { slot, to });
        }
        plan.wanted.insert(Item::HostPort(*slot), Want::Present);
    }
    if world.desired.complete {
        let is_held = |slot: &PortSlot, to: &Option<SocketAddr>| match (slot, to) {
            (PortSlot::Own(address), _) => held.contains(address),
            (_, Some(to)) => held.contains(&to.ip()),
            (_, None) => false,
        };
        let unwanted = world
            .observed
            .host_ports
            .iter()
            .filter(|(slot, to)| !wanted.contains_key(*slot) && !kept.contains(*slot) && !is_held(slot, to));
        for (slot, to) in unwanted {
            let (slot, to) = (*slot, *to);
            plan.step(Object::Leftover, Change::DropHostPort { slot, to });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use portolan_shared::host_port::{HostPort, Transport};

    use super::*;
    use crate::testing::{carry_out, desired, host, ip, link_name, pod_link, port_id};
    use crate::{Desired, Foreign, Observed, PodRoute};

    fn port(host_ip: Option<&str>, number: u16) -> HostPort {
        HostPort {
            protocol: Transport::Tcp,
            host_ip: host_ip.map(ip),
            host_port: NonZeroU16::new(number).unwrap(),
            container_port: NonZeroU16::new(8080).unwrap(),
        }
    }

    fn pod(n: u8, host_ports: &[HostPort]) -> PodRoute {
        PodRoute {
            id: Some(port_id(n)),
            link: link_name(n),
            addresses: vec![IpAddr::from([10, 1, 0, n]), ip(&format!("fd01::{n}"))],
            host_ports: host_ports.to_vec(),
            settled: true,
            probes: None,
        }
    }

    fn steps(desired: &Desired, pods: &[PodRoute], seen: &Observed) -> Vec<(Object, Change)> {
        let plan = crate::plan(desired, pods, seen, &Foreign::default());
        let of_ports = plan
            .steps
            .into_iter()
            .filter(|step| matches!(step.change.item(), Item::PortRules(_) | Item::HostPort(_)));
        of_ports.map(|step| (step.object, step.change)).collect()
    }

    /// A host with the links of two pods.
    fn with_links() -> Observed {
        let mut seen = host();
        seen.links
            .extend([1, 2].map(|n| (link_name(n), pod_link(10 + u32::from(n)))));
        seen
    }

    #[test]
    fn a_host_port_needs_rules_an_entry_a_family_and_a_way_back_to_itself() {
        let pods = [pod(1, &[port(None, 80), port(Some("192.168.0.1"), 81)]), pod(2, &[])];
        let mut seen = with_links();
        let wanted = crate::plan(&desired(), &pods, &seen, &Foreign::default());
        carry_out(&wanted, &mut seen);
        assert_eq!(seen.port_rules, BTreeSet::from([Family::V4, Family::V6]));
        let to = |text: &str| Some(text.parse().unwrap());
        let entries = [
            (PortSlot::At(ip("192.168.0.1"), Transport::Tcp, 81), to("10.1.0.1:8080")),
            (PortSlot::All(Family::V4, Transport::Tcp, 80), to("10.1.0.1:8080")),
            (PortSlot::All(Family::V6, Transport::Tcp, 80), to("[fd01::1]:8080")),
            (PortSlot::Own(ip("10.1.0.1")), None),
            (PortSlot::Own(ip("fd01::1")), None),
        ];
        assert_eq!(seen.host_ports, BTreeMap::from(entries));
        assert_eq!(steps(&desired(), &pods, &seen), []);
        // Rules that somebody took away are put back; a node without host ports needs none.
        seen.port_rules.remove(&Family::V4);
        assert_eq!(
            steps(&desired(), &pods, &seen),
            [(Object::Host, Change::PutPortRules(Family::V4))]
        );
        assert_eq!(steps(&desired(), &[pod(1, &[])], &with_links()), []);
    }

    #[test]
    fn what_no_pod_has_goes_unless_the_pod_is_being_made_or_its_record_is_lost() {
        let (one, two) = (pod(1, &[port(None, 80)]), pod(2, &[]));
        let mut seen = with_links();
        carry_out(
            &crate::plan(&desired(), &[one.clone(), two.clone()], &seen, &Foreign::default()),
            &mut seen,
        );
        let arriving = PodRoute {
            settled: false,
            ..one.clone()
        };
        assert_eq!(steps(&desired(), &[arriving, two.clone()], &seen), []);
        let held = PodRoute {
            id: None,
            ..pod(1, &[])
        };
        assert_eq!(steps(&desired(), &[held, two.clone()], &seen), []);
        let unheard = Desired {
            complete: false,
            ..desired()
        };
        assert_eq!(steps(&unheard, std::slice::from_ref(&two), &seen), []);
        let dropped = steps(&desired(), std::slice::from_ref(&two), &seen);
        assert_eq!(dropped.len(), 4, "an entry and a way back a family: {dropped:?}");
        assert!(
            dropped
                .iter()
                .all(|(object, change)| *object == Object::Leftover && change.removes())
        );
        // Another pod has the port now.
        let next = pod(2, &[port(None, 80)]);
        let moved = steps(&desired(), std::slice::from_ref(&next), &seen);
        assert!(moved.iter().any(|(object, change)| *object == Object::Pod(port_id(2))
            && matches!(change, Change::PutHostPort { to: Some(to), .. } if to.ip() == ip("10.1.0.2"))));
    }
}
