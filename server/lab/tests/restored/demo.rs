//! What the demo's user, and an administrator, read of a lab.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use portolan_lab::api::Api;
use portolan_lab::protocol::Report;
use portolan_lab::wait::until;
use portolan_shared::v1::{List, NodeRow};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::IN_TIME;

/// The path of all pods' ports.
pub(super) const PODS: &str = "/v2.0/ports?device_owner=portolan:pod";

/// Waits until it is so.
pub(super) fn becomes(what: &str, mut look: impl FnMut() -> bool) {
    let seen = until(IN_TIME, || Ok::<_, ()>(look().then_some(())));
    assert_eq!(seen, Ok(Some(())), "it never is so that {what}");
}

/// The addresses of ports in a list of them. No two have one.
pub(super) fn addresses_in(list: &Value) -> BTreeSet<String> {
    let ports = list["ports"].as_array().unwrap();
    let address = |port: &Value| port["fixed_ips"][0]["ip_address"].as_str().unwrap().to_owned();
    let addresses: BTreeSet<String> = ports.iter().map(address).collect();
    assert_eq!(addresses.len(), ports.len(), "{list}");
    addresses
}

/// Somebody who reads what one control plane says.
pub(super) struct Demo {
    pub(super) api: Api,
    report: Report,
}

impl Demo {
    /// Of the lab's control plane.
    pub(super) fn of(report: &Report) -> Self {
        Self::at(report.url.strip_prefix("http://").unwrap().parse().unwrap(), report)
    }

    /// Of another one on the same database.
    pub(super) fn at(address: SocketAddr, report: &Report) -> Self {
        Self {
            api: Api::new(address),
            report: report.clone(),
        }
    }

    /// A new session of one of the lab's users.
    pub(super) fn log_in(&self, name: &str) -> Option<String> {
        let user = self.report.users.iter().find(|user| user.name == name)?;
        self.api.log_in(&user.name, &user.password, &user.project).ok()
    }

    /// Reads as somebody who has just logged in: a session of before the restore is none.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str, path: &str) -> Option<T> {
        self.api.read(path, &self.log_in(name)?).ok()
    }

    /// Where the demo's cluster is.
    pub(super) fn cluster(&self) -> String {
        let cluster = self.report.cluster.as_ref().unwrap();
        format!("/portolan/v1/projects/{}/clusters/{}", cluster.project_id, cluster.id)
    }

    pub(super) fn nodes(&self) -> Option<Vec<NodeRow>> {
        Some(
            self.read::<List<NodeRow>>("demo", &format!("{}/nodes", self.cluster()))?
                .items,
        )
    }

    /// The addresses of pods' ports.
    pub(super) fn pods(&self) -> Option<BTreeSet<String>> {
        Some(addresses_in(&self.read("demo", PODS)?))
    }
}
