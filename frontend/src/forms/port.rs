//! *Add port*: any free address, or these.

use std::net::IpAddr;

use portolan_shared::addr::{Cidr, IpRange};
use portolan_shared::check;
use portolan_shared::holder::{At, Holder, Named};
use portolan_shared::mac::MacAddress;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{PortRow, SubnetRow};

use super::words;
use crate::api::Failure;
use crate::api::bodies::PortSpec;
use crate::components::field::{Message, Weight};
use crate::i18n::{Key, t, tn, tp};

/// Where the port's addresses come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// Any free one of the subnet.
    #[default]
    Any,
    /// The ones typed.
    Fixed,
}

/// The form as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// As typed; a port needs no name.
    pub name: String,
    /// Whether addresses were typed.
    pub choice: Addresses,
    /// The addresses, when they are fixed.
    pub addresses: String,
    /// Empty: given by the server.
    pub mac: String,
    /// `admin_state_up`.
    pub enabled: bool,
    /// Free text, as typed; more than [`check::NAME_MAX`] characters are refused.
    pub description: String,
}

/// What the form is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// The subnet's network.
    pub cidr: Cidr,
    /// The subnet's name.
    pub subnet: String,
    /// Its network's name.
    pub network: String,
    /// Its gateway.
    pub gateway: Option<IpAddr>,
    /// Its pools.
    pub pools: Vec<(IpAddr, IpAddr)>,
    /// Who holds which address, as far as the reader may see.
    pub holders: Vec<(IpAddr, Holder)>,
    /// How many addresses the provider holds that the reader does not see one by one.
    pub provider: u64,
    /// Who has which MAC in this subnet.
    pub macs: Vec<(MacAddress, Holder)>,
}

impl Context {
    /// From the subnet's card and its ports.
    pub fn new(subnet: &SubnetRow, ports: &[PortRow]) -> Self {
        let holders = ports
            .iter()
            .flat_map(|port| port.fixed_ips.iter().map(|fixed| (fixed.address, holder(port))))
            .collect();
        Self {
            cidr: subnet.cidr,
            subnet: if subnet.name.is_empty() {
                subnet.cidr.to_string()
            } else {
                subnet.name.clone()
            },
            network: if subnet.network.name.is_empty() {
                subnet.network.id.to_string()
            } else {
                subnet.network.name.clone()
            },
            gateway: subnet.gateway,
            pools: subnet.pools.clone(),
            provider: subnet.provider,
            holders,
            macs: ports.iter().map(|port| (port.mac, holder(port))).collect(),
        }
    }
}

/// Who has a port, for "taken by …".
fn holder(port: &PortRow) -> Holder {
    let node = port.attached.node.as_ref().map(|node| node.name.clone());
    let at = Some(At::Port(port.id));
    match (&port.attached.pod, node) {
        (Some((namespace, name)), Some(node)) => Holder::PodOn(format!("{namespace}/{name}"), node, at),
        (Some((namespace, name)), None) => Holder::Named(Named::Pod, format!("{namespace}/{name}"), at),
        (None, Some(node)) => Holder::Named(Named::Node, node, at),
        (None, None) if port.name.is_empty() => Holder::Named(Named::Port, port.id.to_string(), at),
        (None, None) => Holder::Named(Named::Port, port.name.clone(), at),
    }
}

/// What is to be said about the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What would be sent; `None` while something is wrong.
    pub spec: Option<PortSpec>,
    /// Under the name.
    pub name: Option<Message>,
    /// Under the addresses.
    pub addresses: Option<Message>,
    /// Under the MAC.
    pub mac: Option<Message>,
    /// Under the description.
    pub description: Option<Message>,
}

/// Everything there is to say about the form.
pub fn check(typed: &Typed, context: &Context) -> Checked {
    let said = |refusal: &Refusal| Message::error(Failure::from_refusal(refusal).sentence());
    let mut checked = Checked::default();
    let name = check::text("name", &typed.name, check::NAME_MAX).map_err(|refusal| checked.name = Some(said(&refusal)));
    let description = check::text("description", &typed.description, check::NAME_MAX)
        .map_err(|refusal| checked.description = Some(said(&refusal)));
    let addresses = match typed.choice {
        Addresses::Any => Ok(Vec::new()),
        Addresses::Fixed => match addresses(&typed.addresses, context) {
            Ok((addresses, message)) => {
                checked.addresses = message;
                Ok(addresses)
            }
            Err(message) => {
                checked.addresses = Some(message);
                Err(())
            }
        },
    };
    let mac = mac(&typed.mac, context).map_err(|message| checked.mac = Some(message));
    if let (Ok(name), Ok(description), Ok(addresses), Ok(mac)) = (name, description, addresses, mac) {
        checked.spec = Some(PortSpec {
            name,
            description,
            enabled: typed.enabled,
            addresses,
            mac,
        });
    }
    checked
}

/// The typed addresses and a message about them; or what is wrong.
fn addresses(text: &str, context: &Context) -> Result<(Vec<IpAddr>, Option<Message>), Message> {
    let refused = |refusal: Refusal| Message::error(Failure::from_refusal(&refusal).sentence());
    let words = words(text);
    if words.is_empty() {
        return Err(Message::error(t(Key::AddressNeeded)));
    }
    if words.len() > check::FIXED_IPS_MAX {
        let (max, count) = (check::FIXED_IPS_MAX, words.len());
        return Err(refused(Refusal::TooMany {
            field: "fixed_ips".to_owned(),
            max,
            count,
        }));
    }
    let mut found: Vec<IpAddr> = Vec::new();
    let mut outside = Vec::new();
    for word in &words {
        let address = check::address("fixed_ips", word).map_err(refused)?;
        if !context.cidr.hosts().contains(address) {
            let (subnet, cidr) = (context.subnet.clone(), context.cidr);
            return Err(refused(Refusal::AddressOutside { address, subnet, cidr }));
        }
        if found.contains(&address) {
            return Err(refused(Refusal::AddressTwice { address }));
        }
        if let Some((_, holder)) = context.holders.iter().find(|(held, _)| *held == address) {
            let (subnet, holder) = (context.subnet.clone(), holder.clone());
            return Err(refused(Refusal::AddressTaken {
                address,
                subnet,
                holder,
            }));
        }
        let in_pool = |pool: &(IpAddr, IpAddr)| IpRange::new(pool.0, pool.1).is_ok_and(|pool| pool.contains(address));
        if !context.pools.iter().any(in_pool) {
            outside.push(address);
        }
        found.push(address);
    }
    let message = match outside.first() {
        Some(address) if context.gateway == Some(*address) => {
            Message::warning(tp(Key::AddressIsGateway, &[("address", &address.to_string())]))
        }
        Some(address) => Message::warning(tp(Key::AddressOutsidePools, &[("address", &address.to_string())])),
        None if context.provider > 0 => Message::good(tn(Key::AddressFreeSeen, context.provider)),
        None => Message::good(t(if found.len() == 1 {
            Key::AddressFree
        } else {
            Key::AddressesFree
        })),
    };
    Ok((found, Some(message)))
}

/// The MAC typed; `None` for an empty field.
fn mac(text: &str, context: &Context) -> Result<Option<String>, Message> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let refused = |refusal: Refusal| Message::error(Failure::from_refusal(&refusal).sentence());
    let mac: MacAddress = text.parse().map_err(|_| {
        refused(Refusal::NotAMac {
            field: "mac_address".to_owned(),
            given: check::shortened(text),
        })
    })?;
    match context.macs.iter().find(|(held, _)| *held == mac) {
        Some((_, holder)) => Err(refused(Refusal::MacTaken {
            mac,
            network: context.network.clone(),
            holder: holder.clone(),
        })),
        None => Ok(Some(mac.to_string())),
    }
}

/// Whether a message forbids sending.
pub fn forbids(message: Option<&Message>) -> bool {
    message.is_some_and(|message| message.weight == Weight::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context {
            cidr: "10.0.0.0/24".parse().unwrap(),
            subnet: "web".into(),
            network: "basin".into(),
            gateway: "10.0.0.1".parse().ok(),
            pools: vec![("10.0.0.2".parse().unwrap(), "10.0.0.99".parse().unwrap())],
            provider: 0,
            holders: vec![(
                "10.0.0.9".parse().unwrap(),
                Holder::PodOn("default/web-1".into(), "node-2".into(), None),
            )],
            macs: vec![(
                "fa:16:3e:00:00:01".parse().unwrap(),
                Holder::Named(Named::Port, "a".into(), None),
            )],
        }
    }

    fn fixed(addresses: &str) -> Checked {
        let typed = Typed {
            choice: Addresses::Fixed,
            addresses: addresses.into(),
            enabled: true,
            ..Typed::default()
        };
        check(&typed, &context())
    }

    #[test]
    fn any_free_address_needs_nothing_typed() {
        let checked = check(
            &Typed {
                enabled: true,
                ..Typed::default()
            },
            &context(),
        );
        assert_eq!(checked.spec.map(|spec| spec.addresses), Some(vec![]));
    }

    #[test]
    fn a_taken_address_names_who_has_it() {
        let checked = fixed("10.0.0.9");
        assert_eq!(checked.spec, None);
        let text = checked.addresses.unwrap().text;
        assert!(
            text.contains("10.0.0.9") && text.contains("pod default/web-1 on node-2"),
            "{text}"
        );
    }

    #[test]
    fn a_free_one_is_said_to_be_and_one_outside_the_pools_too() {
        let checked = fixed("10.0.0.10, 10.0.0.11");
        assert_eq!(checked.addresses.map(|message| message.weight), Some(Weight::Good));
        assert_eq!(checked.spec.map(|spec| spec.addresses.len()), Some(2));
        let checked = fixed("10.0.0.200");
        assert_eq!(checked.addresses.map(|message| message.weight), Some(Weight::Warning));
        assert!(checked.spec.is_some());
    }

    #[test]
    fn where_the_provider_has_addresses_free_is_what_one_sees() {
        let typed = Typed {
            choice: Addresses::Fixed,
            addresses: "10.0.0.10".into(),
            ..Typed::default()
        };
        let context = Context {
            provider: 1,
            ..context()
        };
        let message = check(&typed, &context).addresses.unwrap();
        assert_eq!(
            (message.weight, message.text.as_str()),
            (
                Weight::Good,
                "Free as far as you can see: the provider uses 1 address of this subnet."
            )
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for bad in ["", "x", "10.0.1.1", "10.0.0.255", "10.0.0.10 10.0.0.10"] {
            let checked = fixed(bad);
            assert!(checked.spec.is_none() && forbids(checked.addresses.as_ref()), "{bad}");
        }
    }

    #[test]
    fn macs_are_checked_for_form_and_twins() {
        let with = |mac: &str| {
            check(
                &Typed {
                    mac: mac.into(),
                    ..Typed::default()
                },
                &context(),
            )
        };
        assert_eq!(
            with("FA-16-3E-00-00-02").spec.and_then(|spec| spec.mac).as_deref(),
            Some("fa:16:3e:00:00:02")
        );
        let taken = with("fa:16:3e:00:00:01").mac.unwrap().text;
        assert!(taken.contains("in basin") && taken.contains("port a"), "{taken}");
        assert!(with("01:00:5e:00:00:01").spec.is_none());
    }
}
