//! The application: what every page shares, and which page is where.

use leptos::prelude::*;
use leptos_router::components::{ParentRoute, Route, Router, Routes};
use leptos_router::path;

use crate::browser;
use crate::components::frame::Frame;
use crate::components::time::Clock;
use crate::components::toast::{Toasts, toasts};
use crate::i18n;
use crate::live::Live;
use crate::screens::cluster::{Cluster, Nodes, Overview};
use crate::screens::clusters::Clusters;
use crate::screens::home::Home;
use crate::screens::login::Login;
use crate::screens::network::{Network, Settings, Subnets};
use crate::screens::networks::Networks;
use crate::screens::not_found::NotFound;
use crate::screens::port::Port;
use crate::screens::ports::Ports;
use crate::screens::subnet::{Information, Subnet};
use crate::session::Session;

/// The application.
#[component]
pub fn App() -> impl IntoView {
    browser::set_root_attribute("lang", Some(i18n::current().tag()));
    Clock::provide();
    Toasts::provide();
    let session = Session::provide();
    Live::provide(session);
    view! {
        <Router>
            <Routes fallback=NotFound>
                <Route path=path!("/") view=Home />
                <Route path=path!("/login") view=Login />
                <ParentRoute path=path!("/p/:project") view=Frame>
                    <Route path=path!("") view=Home />
                    <Route path=path!("networks") view=Networks />
                    <ParentRoute path=path!("networks/:id") view=Network>
                        <Route path=path!("") view=Subnets />
                        <Route path=path!("settings") view=Settings />
                    </ParentRoute>
                    <ParentRoute path=path!("subnets/:id") view=Subnet>
                        <Route path=path!("") view=Information />
                        <Route path=path!("ports") view=Ports />
                    </ParentRoute>
                    <Route path=path!("ports/:id") view=Port />
                    <Route path=path!("clusters") view=Clusters />
                    <ParentRoute path=path!("clusters/:id") view=Cluster>
                        <Route path=path!("") view=Overview />
                        <Route path=path!("nodes") view=Nodes />
                    </ParentRoute>
                </ParentRoute>
            </Routes>
            {toasts()}
        </Router>
    }
}
