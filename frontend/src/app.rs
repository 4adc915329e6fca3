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
use crate::later::{Card, Desk, Work, card_page, desk_page, work_page};
use crate::live::Live;
use crate::screens::home::Home;
use crate::screens::login::Login;
use crate::screens::networks::Networks;
use crate::screens::not_found::NotFound;
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
                    <Route path=path!("networks/new") view=work_page(Work::CreateNetwork) />
                    <ParentRoute path=path!("networks/:id") view=card_page(Card::Network)>
                        <Route path=path!("") view=card_page(Card::Subnets) />
                        <Route path=path!("settings") view=card_page(Card::Settings) />
                        <Route path=path!("audit") view=desk_page(Desk::History) />
                    </ParentRoute>
                    <ParentRoute path=path!("subnets/:id") view=card_page(Card::Subnet)>
                        <Route path=path!("") view=card_page(Card::Information) />
                        <Route path=path!("ports") view=card_page(Card::Ports) />
                        <Route path=path!("audit") view=desk_page(Desk::History) />
                    </ParentRoute>
                    <ParentRoute path=path!("ports/:id") view=card_page(Card::Port)>
                        <Route path=path!("") view=card_page(Card::PortAbout) />
                        <Route path=path!("audit") view=desk_page(Desk::History) />
                    </ParentRoute>
                    <Route path=path!("clusters") view=work_page(Work::Clusters) />
                    <Route path=path!("clusters/new") view=work_page(Work::CreateCluster) />
                    <ParentRoute path=path!("clusters/:id") view=work_page(Work::Cluster)>
                        <Route path=path!("") view=work_page(Work::Overview) />
                        <Route path=path!("nodes") view=work_page(Work::Nodes) />
                        <Route path=path!("audit") view=desk_page(Desk::History) />
                    </ParentRoute>
                    <Route path=path!("shadowport") view=desk_page(Desk::Shadowport) />
                    <Route path=path!("shadowport/new") view=desk_page(Desk::NewRequest) />
                    <Route path=path!("shadowport/:id") view=desk_page(Desk::Request) />
                    <Route path=path!("audit") view=desk_page(Desk::Audit) />
                </ParentRoute>
                <ParentRoute path=path!("/support") view=Frame>
                    <Route path=path!("queue") view=desk_page(Desk::Queue) />
                    <Route path=path!("queue/:id") view=desk_page(Desk::SupportRequest) />
                    <Route path=path!("find") view=desk_page(Desk::Find) />
                    <Route path=path!("audit") view=desk_page(Desk::SupportAudit) />
                </ParentRoute>
            </Routes>
            {toasts()}
        </Router>
    }
    .into_any()
}
