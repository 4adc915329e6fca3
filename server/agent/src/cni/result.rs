//! The result of an ADD, and the comparison of one that the runtime hands back.

use std::net::IpAddr;

use portolan_cni_protocol::{AddResult, Dns, Interface, Ip, Route};
use portolan_plan::{POD_GATEWAY_V4, POD_GATEWAY_V6};
use serde_json::Value;

use crate::pods::Wired;

/// The version whose results have no MTU.
const WITHOUT_MTU: &str = "1.0.0";

/// What a wired pod's runtime is told.
pub(super) fn of_add(wired: &Wired, version: &str) -> AddResult {
    let allocation = &wired.allocation;
    let mtu = (version != WITHOUT_MTU).then_some(wired.mtu);
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
    AddResult {
        cni_version: version.to_owned(),
        interfaces: vec![host_end, pod_end],
        ips: allocation.addresses.iter().map(ip).collect(),
        routes: allocation.addresses.iter().map(default_route).collect(),
        dns: Dns {},
    }
}

fn ip(address: &IpAddr) -> Ip {
    let (length, gateway) = match address {
        IpAddr::V4(_) => (32, POD_GATEWAY_V4.into()),
        IpAddr::V6(_) => (128, POD_GATEWAY_V6.into()),
    };
    Ip {
        address: format!("{address}/{length}"),
        gateway: Some(gateway),
        // The pod's end.
        interface: Some(1),
    }
}

fn default_route(address: &IpAddr) -> Route {
    let (dst, gateway) = match address {
        IpAddr::V4(_) => ("0.0.0.0/0", POD_GATEWAY_V4.into()),
        IpAddr::V6(_) => ("::/0", POD_GATEWAY_V6.into()),
    };
    Route {
        dst: dst.to_owned(),
        gw: Some(gateway),
    }
}

/// How the result that the runtime hands back differs from what the node remembers, a sentence
/// each. Other plugins of the chain may have added to it; what is ours must be there.
pub(super) fn forgotten(previous: &Value, wired: &Wired) -> Vec<String> {
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
