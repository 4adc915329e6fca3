//! What has to change in a host's kernel so that it is as the control plane wants it.
//!
//! Everything here is a pure function: it reads nothing, writes nothing, and so cannot fail. Start at
//! [`plan`], which compares a [`Desired`] state and the node's pods with an [`Observed`] kernel;
//! [`pod`] is the part of a host that one pod needs, for rounds and for the pod's ADD alike. A new kind
//! of thing in a kernel is a file in `rooms/`, a line in `host.rs` and a [`Change`].
//!
//! Others write to the kernel too. [`Signals`] says which of their doings call for a round, [`Healing`]
//! what was lost and how often it may be put back, [`Losses`] what is told of it.
//!
//! [`probes`] is how a node finds out whether packets arrive: when the kernel is as wanted, that is still only belief.
//!
//! What is observed is Portolan's own only (see [`ROUTE_PROTOCOL`] and [`is_pod_link`]), so no step
//! can change a stranger's object; what is [`Foreign`] makes reasons, never steps.
//!
//! Invariants, each with a property test: planning again after a plan was carried out gives no steps;
//! nothing is dropped before a complete desired state; a plan that was half carried out leads to the
//! same end; what others take away is put back at once, but no more than three times a minute.

#![forbid(unsafe_code)]

mod desired;
mod healing;
mod host;
mod losses;
mod observed;
mod owned;
mod pod;
mod ports;
pub mod probes;
mod rooms;
mod routes;
mod signals;
mod step;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use desired::{Desired, NodeAddresses, OwnBlock, PodRoute, ProbeLink, RemoteBlock};
pub use healing::{Admitted, Healing};
pub use host::plan;
pub use losses::{Loss, LossNews, Losses};
pub use observed::{DroppingChain, Foreign, ForeignRoute, Link, Observed, Sysctl};
pub use owned::{LINK_DIGITS, LINK_PREFIX, ROUTE_PROTOCOL, is_pod_link, is_probe_link, link_name, probe_link_name};
pub use pod::{PodSlots, pod, pod_keys};
pub use ports::PortSlot;
pub use routes::{MAIN_TABLE, POD_GATEWAY_V4, POD_GATEWAY_V6, Route, RouteKey, Target, V6_METRIC};
pub use signals::{Event, News, Signals};
pub use step::{Change, Item, Object, Plan, Step, Want};
