//! The result of an ADD, and the comparison of one that the runtime hands back.

use std::net::IpAddr;

use portolan_cni_protocol::{AddResult, Dns, Interface, Ip, Route, Version};
use portolan_plan::{POD_GATEWAY_V4, POD_GATEWAY_V6};
use serde_json::{Value, json};

use crate::pods::Wired;

/// What a wired pod's runtime is told: in its version of the specification, with the name servers that it has given.
pub(super) fn of_add(wired: &Wired, version: Version, dns: Dns) -> AddResult {
    let allocation = &wired.allocation;
    let mtu = (version >= Version::V1_1_0).then_some(wired.mtu);
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
        cni_version: version.to_string(),
        interfaces: vec![host_end, pod_end],
        ips: allocation
            .addresses
            .iter()
            .map(|address| ip(address, version))
            .collect(),
        routes: allocation.addresses.iter().map(default_route).collect(),
        dns,
    }
}

/// The result with that of the plugins before this one in the list, to which it adds (specification, section "ADD"). What
/// they have said is left as it is, also what is not known here.
pub(super) fn passed_on(previous: Option<Value>, own: &AddResult) -> Value {
    let mut own = json!(own);
    let Some(mut result) = previous else { return own };
    let before = result["interfaces"].as_array().map_or(0, Vec::len);
    for ip in own["ips"].as_array_mut().into_iter().flatten() {
        if let Some(interface) = ip["interface"].as_u64() {
            ip["interface"] = json!(interface + before as u64);
        }
    }
    for key in ["interfaces", "ips", "routes"] {
        let mut all = result[key].as_array().cloned().unwrap_or_default();
        all.extend(own[key].as_array().cloned().unwrap_or_default());
        result[key] = json!(all);
    }
    if result["dns"].as_object().is_none_or(serde_json::Map::is_empty) {
        result["dns"] = own["dns"].take();
    }
    result["cniVersion"] = own["cniVersion"].take();
    result
}

fn ip(address: &IpAddr, version: Version) -> Ip {
    let (family, length, gateway) = match address {
        IpAddr::V4(_) => ("4", 32, POD_GATEWAY_V4.into()),
        IpAddr::V6(_) => ("6", 128, POD_GATEWAY_V6.into()),
    };
    Ip {
        version: (version < Version::V1_0_0).then(|| family.to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> AddResult {
        AddResult {
            cni_version: "1.0.0".to_owned(),
            interfaces: vec![Interface {
                name: "eth1".to_owned(),
                mac: None,
                mtu: None,
                sandbox: Some("/run/netns/c1".to_owned()),
            }],
            ips: vec![ip(&[10, 1, 0, 7].into(), Version::V1_0_0)],
            routes: vec![default_route(&[10, 1, 0, 7].into())],
            dns: Dns::default(),
        }
    }

    #[test]
    fn what_earlier_plugins_have_made_comes_first_and_stays_as_it_is() {
        let before = json!({
            "cniVersion": "1.0.0",
            "interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/run/netns/c1", "socketPath": "/x"}],
            "ips": [{"address": "192.0.2.7/24", "interface": 1}],
            "dns": {"nameservers": ["192.0.2.2"]},
            "more": 7,
        });
        let result = passed_on(Some(before.clone()), &own());
        assert_eq!(result["interfaces"][1], before["interfaces"][1]);
        assert_eq!(result["interfaces"][2]["name"], "eth1");
        assert_eq!(result["ips"][0], before["ips"][0]);
        assert_eq!(
            (&result["ips"][1]["interface"], &result["ips"][1]["address"]),
            (&json!(3), &json!("10.1.0.7/32"))
        );
        assert_eq!(result["routes"], json!(own().routes));
        assert_eq!((&result["dns"], &result["more"]), (&before["dns"], &json!(7)));
        assert_eq!(passed_on(None, &own()), json!(own()));
    }
}
