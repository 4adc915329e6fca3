//! One file a kind of thing that the agent keeps, or looks at, in a kernel.

pub(crate) mod foreign;
pub(crate) mod forwarding;
pub(crate) mod gateway;
pub(crate) mod host_ports;
pub(crate) mod links;
pub(crate) mod node;
pub(crate) mod routes;
pub(crate) mod strays;
