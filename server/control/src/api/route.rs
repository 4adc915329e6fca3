//! A route as a value: routers are made of lists of these, so that what can be called can be listed.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::Api;

/// A method, a path and what answers there.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path below the router's prefix, parameters in braces.
    pub path: &'static str,
    answers: MethodRouter<Arc<Api>>,
}

macro_rules! verbs {
    ($($name:ident $method:ident $word:literal)*) => {
        $(#[doc = concat!("`", $word, "` of a path.")]
        pub fn $name<H: Handler<T, Arc<Api>>, T: 'static>(path: &'static str, handler: H) -> Route {
            Route { method: Method::$method, path, answers: on(MethodFilter::$method, handler) }
        })*
    };
}

verbs! {
    get GET "GET"
    post POST "POST"
    put PUT "PUT"
    patch PATCH "PATCH"
    delete DELETE "DELETE"
}

/// The router of these routes and no others.
pub fn router(routes: impl IntoIterator<Item = Route>) -> Router<Arc<Api>> {
    routes
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.answers))
}
