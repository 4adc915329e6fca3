//! What has to change in a host's kernel so that it is as the control plane wants it.
//!
//! Everything here is a pure function: it reads nothing, writes nothing, and so cannot fail. Start at
//! [`plan`], which compares a [`Desired`] state and the node's pods with an [`Observed`] kernel;
//! [`pod`] is the part of a host that one pod needs, for rounds and for the pod's ADD alike.
//!
//! What is observed is Portolan's own only (see [`ROUTE_PROTOCOL`] and [`is_pod_link`]), so no plan
//! can name a stranger's object.
//!
//! Invariants, each with a property test: planning again after a plan was carried out gives an empty
//! plan; nothing is dropped before a complete desired state; a plan that was half carried out leads
//! to the same end.

#![forbid(unsafe_code)]

mod desired;
mod host;
mod observed;
mod owned;
mod pod;
mod routes;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use desired::{Desired, NodeAddresses, OwnBlock, PodRoute, RemoteBlock};
pub use host::{Object, Plan, PutRoute, plan};
pub use observed::{Link, Observed, Sysctl};
pub use owned::{LINK_DIGITS, LINK_PREFIX, ROUTE_PROTOCOL, is_pod_link, link_name};
pub use pod::{PodSlots, pod, pod_keys};
pub use routes::{MAIN_TABLE, POD_GATEWAY_V4, POD_GATEWAY_V6, Route, RouteKey, Target, V6_METRIC};
