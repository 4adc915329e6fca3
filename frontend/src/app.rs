//! The application: what every page shares, and which page is where.

use leptos::prelude::*;
use leptos::tachys::view::iterators::StaticVec;
use leptos_router::any_nested_route::{AnyNestedRoute, IntoAnyNestedRoute};
use leptos_router::components::{Router, Routes, RoutesProps};
use leptos_router::{NestedRoute, PossibleRouteMatch, StaticSegment, path};

use crate::components::frame::frame;
use crate::components::maybe;
use crate::components::menu::Area;
use crate::components::time::Clock;
use crate::components::toast::{Toasts, toasts};
use crate::i18n::Lang;
use crate::i18n::choice::Language;
use crate::live::Live;
use crate::screens::home::Home;
use crate::screens::login::Login;
use crate::screens::not_found::NotFound;
use crate::screens::{Detail, Editing, MENU, Requests};
use crate::session::Session;

/// The application. `missing`: the language that should be shown and could not be had.
pub fn app(missing: Option<Lang>) -> impl IntoView {
    Clock::provide();
    let toasts = Toasts::provide();
    let session = Session::provide();
    Live::provide(session);
    let language = Language::provide(session, toasts, missing);
    // When the language changes, the pages are mounted again at the same address; the state above them is kept. The old
    // ones are removed first: two routers would both answer a click.
    maybe(move || language.shown().map(|_| pages()))
}

/// Whatever page the address names, and the messages over it.
fn pages() -> AnyView {
    view! {
        <Router>
            {Routes(
                RoutesProps::builder().fallback(NotFound).children(ToChildren::to_children(routes)).build(),
            )}
            {toasts()}
        </Router>
    }
    .into_any()
}

/// Routes beside one another. All are of one type: the router's code is compiled once.
type RouteList = StaticVec<AnyNestedRoute>;

/// A page.
fn page(path: impl PossibleRouteMatch + Clone + Send + 'static, view: fn() -> AnyView) -> AnyNestedRoute {
    NestedRoute::new(path, view).into_any_nested_route()
}

/// What is around the pages below `path`.
fn layout(
    path: impl PossibleRouteMatch + Clone + Send + 'static,
    view: fn() -> AnyView,
    pages: Vec<AnyNestedRoute>,
) -> AnyNestedRoute {
    let pages = RouteList::from(pages);
    NestedRoute::new(path, view).child(pages).into_any_nested_route()
}

/// The pages with an entry in the menu.
fn listed(area: Area) -> impl Iterator<Item = AnyNestedRoute> {
    let entries = MENU.iter().filter(move |entry| entry.area == area);
    entries.map(|entry| page(StaticSegment(entry.path), entry.view))
}

/// Which page is where.
fn routes() -> RouteList {
    let home = || Home().into_any();
    let framed = || frame(MENU);
    let history = || page(path!("audit"), || Requests::History.view());
    let of_project = vec![
        page(path!(""), home),
        page(path!("networks/new"), || Editing::CreateNetwork.view()),
        layout(
            path!("networks/:id"),
            || Detail::Network.view(),
            vec![
                page(path!(""), || Detail::Subnets.view()),
                page(path!("settings"), || Detail::Settings.view()),
                history(),
            ],
        ),
        layout(
            path!("subnets/:id"),
            || Detail::Subnet.view(),
            vec![
                page(path!(""), || Detail::Information.view()),
                page(path!("ports"), || Detail::Ports.view()),
                history(),
            ],
        ),
        layout(
            path!("ports/:id"),
            || Detail::Port.view(),
            vec![page(path!(""), || Detail::PortAbout.view()), history()],
        ),
        page(path!("clusters/new"), || Editing::CreateCluster.view()),
        layout(
            path!("clusters/:id"),
            || Editing::Cluster.view(),
            vec![
                page(path!(""), || Editing::Overview.view()),
                page(path!("nodes"), || Editing::Nodes.view()),
                history(),
            ],
        ),
        page(path!("shadowport/new"), || Requests::NewRequest.view()),
        page(path!("shadowport/:id"), || Requests::ProjectRequest.view()),
    ];
    let of_support = vec![page(path!("queue/:id"), || Requests::SupportRequest.view())];
    RouteList::from(vec![
        page(path!("/"), home),
        page(path!("/login"), || Login().into_any()),
        layout(
            path!("/p/:project"),
            framed,
            of_project.into_iter().chain(listed(Area::Project)).collect(),
        ),
        layout(
            path!("/support"),
            framed,
            of_support.into_iter().chain(listed(Area::Support)).collect(),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use leptos_router::{MatchNestedRoutes, MatchParams};

    use super::*;
    use crate::paths;

    #[test]
    fn every_address_is_of_a_page() {
        let routes = routes();
        let params = |path: &str| match routes.match_nested(path) {
            (Some((_, found)), "" | "/") => Some(found.to_params()),
            _ => None,
        };
        let own = |path: String| {
            let found = params(&path).unwrap_or_else(|| panic!("no page is at {path}"));
            assert!(found.contains(&("project".into(), "p".to_owned())), "{path}");
        };
        for entry in MENU {
            assert!(params(&entry.href("p")).is_some(), "{:?}", entry.title);
        }
        for page in [paths::network("p", "7"), paths::subnet("p", "7"), paths::port("p", "7")] {
            own(paths::history(&page));
            own(page);
        }
        own(paths::network_new("p"));
        own(paths::network_settings("p", "7"));
        own(paths::subnet_ports("p", "7"));
        own(paths::cluster_new("p"));
        own(paths::cluster("p", "7"));
        own(paths::cluster_nodes("p", "7"));
        own(paths::history(&paths::cluster("p", "7")));
        own(paths::shadowport_new("p", ""));
        own(paths::shadowport_request("p", "7"));
        assert!(params(&paths::support_request("7")).is_some());
        assert!(params(&paths::login("")).is_some());
        assert!(params("/p/p/nothing").is_none() && params("/support").is_none());
    }
}
