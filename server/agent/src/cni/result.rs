//! The result of an ADD in the specification's shape, and how one handed back compares.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use crate::plan::{POD_GATEWAY_V4, POD_GATEWAY_V6};
use crate::pods::Wired;

/// The result of an ADD (specification, section "Success").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddResult {
    /// As asked.
    #[serde(rename = "cniVersion")]
    pub cni_version: &'static str,
    /// The host's end, then the pod's.
    pub interfaces: Vec<Interface>,
    /// The pod's addresses.
    pub ips: Vec<Ip>,
    /// The pod's default routes.
    pub routes: Vec<Route>,
    /// Empty: names are the runtime's business.
    pub dns: Dns,
}

/// An interface that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// In bytes; from version 1.1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The pod's namespace; absent for the host's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
}

/// An address of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ip {
    /// In CIDR form; /32 and /128, because a pod shares its link with nobody.
    pub address: String,
    /// Where its packets go.
    pub gateway: IpAddr,
    /// Index into the interfaces.
    pub interface: usize,
}

/// A route of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// In CIDR form.
    pub dst: &'static str,
    /// The next hop.
    pub gw: IpAddr,
}

/// Nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dns {}

impl AddResult {
    /// What a wired pod's runtime is told.
    pub fn of(wired: &Wired, version: &'static str) -> Self {
        let allocation = &wired.allocation;
        let mtu = (version != "1.0.0").then_some(wired.mtu);
        let host_end = Interface {
            name: allocation.link.clone(),
            mac: None,
            mtu,
            sandbox: None,
        };
        let pod_end = Interface {
            name: allocation.ifname.clone(),
            mac: Some(allocation.mac.to_string()),
            mtu,
            sandbox: Some(allocation.netns.display().to_string()),
        };
        let ip = |address: &IpAddr| match address {
            IpAddr::V4(a) => Ip {
                address: format!("{a}/32"),
                gateway: POD_GATEWAY_V4.into(),
                interface: 1,
            },
            IpAddr::V6(a) => Ip {
                address: format!("{a}/128"),
                gateway: POD_GATEWAY_V6.into(),
                interface: 1,
            },
        };
        let route = |address: &IpAddr| match address {
            IpAddr::V4(_) => Route {
                dst: "0.0.0.0/0",
                gw: POD_GATEWAY_V4.into(),
            },
            IpAddr::V6(_) => Route {
                dst: "::/0",
                gw: POD_GATEWAY_V6.into(),
            },
        };
        Self {
            cni_version: version,
            interfaces: vec![host_end, pod_end],
            ips: allocation.addresses.iter().map(ip).collect(),
            routes: allocation.addresses.iter().map(route).collect(),
            dns: Dns {},
        }
    }
}

/// How the result that the runtime hands back differs from what the node remembers, a sentence
/// each. Other plugins of the chain may have added to it; what is ours must be there.
pub fn forgotten(previous: &Value, wired: &Wired) -> Vec<String> {
    let allocation = &wired.allocation;
    let list = |key: &str| previous.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let (ips, interfaces) = (list("ips"), list("interfaces"));
    let mut found = Vec::new();
    for address in &allocation.addresses {
        let same = |ip: &Value| {
            let text = ip.get("address").and_then(Value::as_str).unwrap_or_default();
            text.split('/').next().and_then(|a| a.parse::<IpAddr>().ok()) == Some(*address)
        };
        if !ips.iter().any(same) {
            found.push(format!("prevResult does not have the pod's address {address}"));
        }
    }
    let pod_end = |i: &Value| {
        let named = i.get("name").and_then(Value::as_str) == Some(allocation.ifname.as_str());
        named && i.get("sandbox").and_then(Value::as_str).is_some_and(|s| !s.is_empty())
    };
    if !interfaces.iter().any(pod_end) {
        found.push(format!(
            "prevResult does not have the pod's interface {}",
            allocation.ifname
        ));
    }
    found
}
