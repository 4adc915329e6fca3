//! The results of the specification (section "Success").

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::Version;

/// The result of an ADD.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddResult {
    /// The version of the request.
    #[serde(rename = "cniVersion", default)]
    pub cni_version: String,
    /// The host's end of the pod's link, then the pod's end.
    #[serde(default)]
    pub interfaces: Vec<Interface>,
    /// The pod's addresses.
    #[serde(default)]
    pub ips: Vec<Ip>,
    /// The pod's default routes.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The name servers that the pod is to ask: those that were given.
    #[serde(default)]
    pub dns: Dns,
}

/// An interface that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name in its namespace.
    pub name: String,
    /// Its hardware address; absent for the host's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its MTU in bytes; absent before version 1.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The path of the pod's namespace; absent for the host's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
}

/// An address of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ip {
    /// Its family, `4` or `6`; absent since version 1.0.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// In CIDR form; Portolan's are /32 and /128, because a pod shares its link with nobody.
    pub address: String,
    /// Where the pod's packets go. Portolan always names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Index into the interfaces. Portolan always names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<usize>,
}

impl Ip {
    /// The address without its prefix length; `None` when the text is none.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.split('/').next()?.parse().ok()
    }
}

/// A route of the pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The destination, in CIDR form.
    pub dst: String,
    /// The next hop. Portolan always names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gw: Option<IpAddr>,
}

/// Name servers, and how names are looked for there. A network configuration and a result call these as here; a runtime
/// calls two of them otherwise, containerd all with capital letters, and an empty one may be null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Addresses, by preference.
    #[serde(alias = "servers", alias = "Servers")]
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// The local domain.
    #[serde(alias = "Domain")]
    #[serde(deserialize_with = "or_null", skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Domains to look in for short names, by preference.
    #[serde(alias = "searches", alias = "Searches")]
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of the resolver, as resolv.conf(5) has them.
    #[serde(alias = "Options")]
    #[serde(deserialize_with = "or_null", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

fn or_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// The result of a VERSION.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionResult {
    /// The version of the request, or the newest when it names none.
    #[serde(rename = "cniVersion")]
    pub cni_version: String,
    /// All that are spoken.
    #[serde(rename = "supportedVersions")]
    pub supported: [&'static str; Version::ALL.len()],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_comes_back_as_it_was_said() {
        let result = AddResult {
            cni_version: "1.0.0".to_owned(),
            interfaces: vec![Interface {
                name: "ptl00000000abc".to_owned(),
                mac: None,
                mtu: None,
                sandbox: None,
            }],
            ips: vec![Ip {
                version: None,
                address: "10.4.0.7/32".to_owned(),
                gateway: Some("169.254.1.1".parse().unwrap()),
                interface: Some(1),
            }],
            routes: vec![Route {
                dst: "0.0.0.0/0".to_owned(),
                gw: Some("169.254.1.1".parse().unwrap()),
            }],
            dns: Dns::default(),
        };
        let text = serde_json::to_string(&result).unwrap();
        assert_eq!(
            text,
            r#"{"cniVersion":"1.0.0","interfaces":[{"name":"ptl00000000abc"}],"ips":[{"address":"10.4.0.7/32","gateway":"169.254.1.1","interface":1}],"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}],"dns":{}}"#
        );
        assert_eq!(serde_json::from_str::<AddResult>(&text).unwrap(), result);
        assert_eq!(result.ips[0].ip(), Some("10.4.0.7".parse().unwrap()));
    }

    #[test]
    fn what_other_plugins_leave_out_is_no_error() {
        let result: AddResult = serde_json::from_str(r#"{"ips":[{"address":"nonsense"}],"more":1}"#).unwrap();
        assert_eq!(result.ips[0].ip(), None);
    }
}
