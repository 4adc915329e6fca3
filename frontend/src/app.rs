//! The application: what every page shares, and which page is where.

use leptos::prelude::*;
use leptos_router::components::{ParentRoute, Route, Router, Routes};
use leptos_router::path;

use crate::components::frame::Frame;
use crate::components::maybe;
use crate::components::time::Clock;
use crate::components::toast::{Toasts, toasts};
use crate::i18n::Lang;
use crate::i18n::choice::Language;
use crate::live::Live;
use crate::screens::audit::{Audit, History, SupportAudit};
use crate::screens::cluster::{Cluster, Overview};
use crate::screens::clusters::Clusters;
use crate::screens::create_cluster::CreateCluster;
use crate::screens::create_network::CreateNetwork;
use crate::screens::home::Home;
use crate::screens::login::Login;
use crate::screens::network::{Network, Settings, Subnets};
use crate::screens::networks::Networks;
use crate::screens::nodes::Nodes;
use crate::screens::not_found::NotFound;
use crate::screens::port::{Port, PortAbout};
use crate::screens::ports::Ports;
use crate::screens::shadowport::list::Shadowport;
use crate::screens::shadowport::new::NewRequest;
use crate::screens::shadowport::one::Request;
use crate::screens::subnet::{Information, Subnet};
use crate::screens::support::find::Find;
use crate::screens::support::queue::Queue;
use crate::screens::support::request::Request as SupportRequest;
use crate::session::Session;

/// The application. `missing`: the language that should be shown and could not be had.
pub fn app(missing: Option<Lang>) -> impl IntoView {
    Clock::provide();
    let toasts = Toasts::provide();
    let session = Session::provide();
    Live::provide(session);
    let language = Language::provide(session, toasts, missing);
    // With another language the pages are mounted anew, where they are; what is above goes on. The old
    // ones are taken down first: two routers would both answer to a click.
    maybe(move || language.shown().map(|_| pages()))
}

/// Which page is where.
fn pages() -> AnyView {
    view! {
        <Router>
            <Routes fallback=NotFound>
                <Route path=path!("/") view=Home />
                <Route path=path!("/login") view=Login />
                <ParentRoute path=path!("/p/:project") view=Frame>
                    <Route path=path!("") view=Home />
                    <Route path=path!("networks") view=Networks />
                    <Route path=path!("networks/new") view=CreateNetwork />
                    <ParentRoute path=path!("networks/:id") view=Network>
                        <Route path=path!("") view=Subnets />
                        <Route path=path!("settings") view=Settings />
                        <Route path=path!("audit") view=History />
                    </ParentRoute>
                    <ParentRoute path=path!("subnets/:id") view=Subnet>
                        <Route path=path!("") view=Information />
                        <Route path=path!("ports") view=Ports />
                        <Route path=path!("audit") view=History />
                    </ParentRoute>
                    <ParentRoute path=path!("ports/:id") view=Port>
                        <Route path=path!("") view=PortAbout />
                        <Route path=path!("audit") view=History />
                    </ParentRoute>
                    <Route path=path!("clusters") view=Clusters />
                    <Route path=path!("clusters/new") view=CreateCluster />
                    <ParentRoute path=path!("clusters/:id") view=Cluster>
                        <Route path=path!("") view=Overview />
                        <Route path=path!("nodes") view=Nodes />
                        <Route path=path!("audit") view=History />
                    </ParentRoute>
                    <Route path=path!("shadowport") view=Shadowport />
                    <Route path=path!("shadowport/new") view=NewRequest />
                    <Route path=path!("shadowport/:id") view=Request />
                    <Route path=path!("audit") view=Audit />
                </ParentRoute>
                <ParentRoute path=path!("/support") view=Frame>
                    <Route path=path!("queue") view=Queue />
                    <Route path=path!("queue/:id") view=SupportRequest />
                    <Route path=path!("find") view=Find />
                    <Route path=path!("audit") view=SupportAudit />
                </ParentRoute>
            </Routes>
            {toasts()}
        </Router>
    }
    .into_any()
}
