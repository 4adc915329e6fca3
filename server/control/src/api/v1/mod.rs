//! `/portolan/v1`: the console's session, read models and live events, and what OpenStack has no
//! word for: clusters, nodes, join tokens.
//!
//! [`mod@routes`] is the table of all that can be called. One file a resource; [`rows`] turns what is
//! stored into rows, outside of the view's lock.

pub mod audit;
pub mod clusters;
pub mod description;
pub mod document;
pub mod events;
pub mod find;
pub mod histories;
pub mod networks;
pub mod nodes;
pub mod operation;
pub mod page;
pub mod plans;
pub mod ports;
pub mod quotas;
pub mod requests;
pub mod routes;
pub mod rows;
pub mod sample;
pub mod session;
pub mod shadowport;
pub mod subnets;
pub mod support;
pub mod tidy;

use super::route::Route;

/// The routes below `/portolan/v1`.
pub fn routes() -> Vec<Route> {
    let operations = routes::operations().into_iter();
    operations.map(|operation| operation.route).collect()
}
