//! Objects of the project in the path. An object of another project is not there, also for those
//! who see everything: the path says where to look.

use std::sync::Arc;

use portolan_core::kinds::quarantined_blocks::QuarantinedBlock;
use portolan_core::model::hidden;
use portolan_core::model::{Cluster, Meta, Network, Node, Port, Subnet};
use portolan_core::view::View;

use crate::api::context::{Call, Segments};
use crate::api::error::Failure;

fn here<T>(call: &Call, found: Option<&Arc<T>>, meta: impl Fn(&T) -> &Meta) -> Option<Arc<T>> {
    found.filter(|object| meta(object).project == call.project.id).cloned()
}

macro_rules! finders {
    ($($(#[$doc:meta])* $name:ident($word:literal, $param:literal, $get:ident) -> $type:ty;)*) => {
        $($(#[$doc])*
        ///
        /// # Errors
        /// If it is not there.
        pub fn $name(call: &Call, view: &View, path: &Segments) -> Result<Arc<$type>, Failure> {
            let id = path.id($param, $word)?;
            here(call, view.$get(id), |object| &object.meta).ok_or_else(|| Failure::not_found($word, path.text($param)))
        })*
    };
}

finders! {
    /// The network in the path.
    network("network", "id", network) -> Network;
    /// The subnet in the path.
    subnet("subnet", "id", subnet) -> Subnet;
    /// The cluster in the path.
    cluster("cluster", "id", cluster) -> Cluster;
}

/// The network in the path: of the project, or an external one, which everybody sees.
///
/// # Errors
/// If it is not there.
pub fn seen_network(call: &Call, view: &View, path: &Segments) -> Result<Arc<Network>, Failure> {
    let found = view
        .network(path.id("id", "network")?)
        .filter(|network| network.external);
    found.map_or_else(|| network(call, view, path), |network| Ok(Arc::clone(network)))
}

/// The port in the path. A hidden one is found by those who may see it, in the project of its network
/// as well.
///
/// # Errors
/// If it is not there.
pub fn port(call: &Call, view: &View, path: &Segments) -> Result<Arc<Port>, Failure> {
    let here = |port: &&Arc<Port>| {
        let network = || view.network(port.network).map(|network| network.meta.project);
        port.meta.project == call.project.id || (hidden(port) && network() == Some(call.project.id))
    };
    let found = view.port(path.id("id", "port")?).filter(here);
    let found = found.filter(|port| call.reads(&***port));
    found
        .cloned()
        .ok_or_else(|| Failure::not_found("port", path.text("id")))
}

/// The node in the path, of the cluster in the path.
///
/// # Errors
/// If one of them is not there.
pub fn node(call: &Call, view: &View, path: &Segments) -> Result<Arc<Node>, Failure> {
    let cluster = cluster(call, view, path)?;
    let found = view
        .node(path.id("node", "node")?)
        .filter(|node| node.cluster == cluster.id);
    found
        .cloned()
        .ok_or_else(|| Failure::not_found("node", path.text("node")))
}

/// The block in quarantine in the path, of the cluster in the path.
///
/// # Errors
/// If one of them is not there.
pub fn quarantined_block(call: &Call, view: &View, path: &Segments) -> Result<Arc<QuarantinedBlock>, Failure> {
    let cluster = cluster(call, view, path)?;
    let found = view
        .get::<QuarantinedBlock>(path.id("block", "block")?)
        .filter(|block| block.cluster == cluster.id);
    found
        .cloned()
        .ok_or_else(|| Failure::not_found("block", path.text("block")))
}
