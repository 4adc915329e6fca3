//! `/portolan/v1`: the console's session, read models and live events, and what OpenStack has no
//! word for: clusters, nodes, join tokens.
//!
//! One file a resource; [`rows`] turns what is stored into rows, outside of the view's lock.

pub mod clusters;
pub mod events;
pub mod find;
pub mod networks;
pub mod nodes;
pub mod ports;
pub mod rows;
pub mod session;
pub mod subnets;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::Api;

/// The routes below `/portolan/v1`.
pub fn router() -> Router<Arc<Api>> {
    let project = Router::new()
        .route("/networks", get(networks::list))
        .route("/networks/{id}", get(networks::show))
        .route("/networks/{id}/subnets", get(subnets::of_network))
        .route("/networks/{id}/ports", get(ports::of_network))
        .route("/subnets/{id}", get(subnets::show))
        .route("/subnets/{id}/ports", get(ports::of_subnet))
        .route("/ports/{id}", get(ports::show))
        .route("/ports/{id}/why", get(ports::why))
        .route("/address-space", get(networks::address_space))
        .route("/clusters", get(clusters::list).post(clusters::create))
        .route("/clusters/{id}", get(clusters::show).delete(clusters::delete))
        .route("/clusters/{id}/nodes", get(nodes::list).post(nodes::create))
        .route("/clusters/{id}/nodes/{node}", axum::routing::delete(nodes::delete))
        .route("/clusters/{id}/join-tokens", post(nodes::join_token));
    Router::new()
        .route(
            "/session",
            get(session::show)
                .post(session::create)
                .put(session::update)
                .delete(session::delete),
        )
        .route("/events", get(events::stream))
        .nest("/projects/{project}", project)
}
