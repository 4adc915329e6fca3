//! What the first download leaves out: pages and panels that come when they are first wanted.
//!
//! A group of parts is one file beside the console's, and one function here that is in that file. What
//! only such a function reaches goes with it; what two groups reach is a file that both bring.

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use portolan_shared::v1::{AddressSpace, NetworkRow, PortRow, SubnetRow};

use crate::api::Failure;
use crate::components::button::{Look, button};
use crate::components::error::error_block;
use crate::components::panel::{Closing, panel};
use crate::components::{dynamic, nothing};
use crate::i18n::{Key, t};
use crate::screens::delete::Doomed;
use crate::screens::{
    add_node, add_port, add_subnet, audit, cluster, clusters, create_cluster, create_network, delete, network, nodes,
    port, ports, shadowport, subnet, support,
};

/// What one opens from a list: the pages of a network, a subnet and a port.
#[derive(Clone, Copy)]
pub enum Card {
    /// A network's page around its tabs.
    Network,
    /// Its subnets.
    Subnets,
    /// What it is set to.
    Settings,
    /// A subnet's card around its tabs.
    Subnet,
    /// *Information*.
    Information,
    /// *Ports*.
    Ports,
    /// A port's page around its tabs.
    Port,
    /// Its first tab.
    PortAbout,
}

/// What making, changing and deleting needs, and the clusters.
#[derive(Clone)]
pub enum Work {
    /// The page that makes a network.
    CreateNetwork,
    /// The page that makes a cluster.
    CreateCluster,
    /// The list of clusters.
    Clusters,
    /// A cluster's page around its tabs.
    Cluster,
    /// Its first tab.
    Overview,
    /// Its nodes.
    Nodes,
    /// The panel that adds a node.
    AddNode {
        /// The project.
        project: Signal<String>,
        /// The cluster's id.
        cluster: Signal<String>,
        /// Closes the panel.
        close: Callback<()>,
    },
    /// The panel that adds a subnet.
    AddSubnet {
        /// The project.
        project: Signal<String>,
        /// Where to.
        network: Signal<Option<NetworkRow>>,
        /// Which addresses are free.
        space: Signal<Option<AddressSpace>>,
        /// Closes the panel.
        close: Callback<()>,
    },
    /// The panel that adds a port.
    AddPort {
        /// The project.
        project: Signal<String>,
        /// Where to.
        subnet: Signal<Option<SubnetRow>>,
        /// Those that are there.
        ports: Signal<Vec<PortRow>>,
        /// Closes the panel.
        close: Callback<()>,
    },
    /// The panel that deletes.
    Delete {
        /// The project.
        project: Signal<String>,
        /// What goes.
        doomed: Doomed,
        /// Closes the panel.
        close: Callback<()>,
        /// Runs once it is gone.
        done: Callback<()>,
    },
}

/// Requests, who answers them, and who did what.
#[derive(Clone, Copy)]
pub enum Desk {
    /// How a project stands with shadowport.
    Shadowport,
    /// The page that asks for it.
    NewRequest,
    /// A request.
    Request,
    /// Support's queue.
    Queue,
    /// A request, as support sees it.
    SupportRequest,
    /// Whose an address is.
    Find,
    /// What was done everywhere.
    SupportAudit,
    /// What was done in a project.
    Audit,
    /// What was done to one thing.
    History,
}

/// A part of any group.
#[derive(Clone)]
pub enum Part {
    /// One of the first group.
    Card(Card),
    /// One of the second.
    Work(Work),
    /// One of the third.
    Desk(Desk),
}

impl Part {
    /// What it is called and what closes it, where it is a panel.
    fn panel(&self) -> Option<(String, Callback<()>)> {
        let named = |title, close: &Callback<()>| Some((t(title).to_owned(), *close));
        match self {
            Part::Work(Work::AddNode { close, .. }) => named(Key::AddNode, close),
            Part::Work(Work::AddSubnet { close, .. }) => named(Key::AddSubnet, close),
            Part::Work(Work::AddPort { close, .. }) => named(Key::AddPort, close),
            Part::Work(Work::Delete { doomed, close, .. }) => Some((doomed.title(), *close)),
            _ => None,
        }
    }

    /// Stands where it would, and says that it could not be had.
    fn lost(&self, again: Callback<()>) -> AnyView {
        let said = error_block(&Failure::unreadable(t(Key::FailurePart)), Some(again));
        let Some((title, close)) = self.panel() else {
            return said;
        };
        let closing = Closing::new(Signal::stored(false), close);
        let foot = move || button(Look::Plain, Key::Close, close);
        panel(Signal::stored(title), closing, said, Box::new(foot))
    }
}

/// Draws a part of a group that is there.
#[derive(Clone, Copy)]
enum Draw {
    Card(fn(Card) -> AnyView),
    Work(fn(Work) -> AnyView),
    Desk(fn(Desk) -> AnyView),
}

/// How far the file is.
#[derive(Clone, Copy)]
enum Standing {
    Coming,
    Here(Draw),
    Lost,
}

#[wasm_split(card, wasm_split_path = ::leptos::wasm_split, fallible)]
fn card() -> Result<fn(Card) -> AnyView, SplitLoaderError> {
    Ok(draw_card)
}

fn draw_card(part: Card) -> AnyView {
    match part {
        Card::Network => network::Network().into_any(),
        Card::Subnets => network::Subnets().into_any(),
        Card::Settings => network::Settings().into_any(),
        Card::Subnet => subnet::Subnet().into_any(),
        Card::Information => subnet::Information().into_any(),
        Card::Ports => ports::Ports().into_any(),
        Card::Port => port::Port().into_any(),
        Card::PortAbout => port::PortAbout().into_any(),
    }
}

#[wasm_split(work, wasm_split_path = ::leptos::wasm_split, fallible)]
fn work() -> Result<fn(Work) -> AnyView, SplitLoaderError> {
    Ok(draw_work)
}

fn draw_work(part: Work) -> AnyView {
    match part {
        Work::CreateNetwork => create_network::CreateNetwork().into_any(),
        Work::CreateCluster => create_cluster::CreateCluster().into_any(),
        Work::Clusters => clusters::Clusters().into_any(),
        Work::Cluster => cluster::Cluster().into_any(),
        Work::Overview => cluster::Overview().into_any(),
        Work::Nodes => nodes::Nodes().into_any(),
        Work::AddNode {
            project,
            cluster,
            close,
        } => add_node::add_node_panel(project, cluster, close),
        Work::AddSubnet {
            project,
            network,
            space,
            close,
        } => add_subnet::add_subnet(project, network, space, close),
        Work::AddPort {
            project,
            subnet,
            ports,
            close,
        } => add_port::add_port(project, subnet, ports, close),
        Work::Delete {
            project,
            doomed,
            close,
            done,
        } => delete::delete_panel(project, doomed, close, done),
    }
}

#[wasm_split(desk, wasm_split_path = ::leptos::wasm_split, fallible)]
fn desk() -> Result<fn(Desk) -> AnyView, SplitLoaderError> {
    Ok(draw_desk)
}

fn draw_desk(part: Desk) -> AnyView {
    match part {
        Desk::Shadowport => shadowport::list::Shadowport().into_any(),
        Desk::NewRequest => shadowport::new::NewRequest().into_any(),
        Desk::Request => shadowport::one::Request().into_any(),
        Desk::Queue => support::queue::Queue().into_any(),
        Desk::SupportRequest => support::request::Request().into_any(),
        Desk::Find => support::find::Find().into_any(),
        Desk::SupportAudit => audit::SupportAudit().into_any(),
        Desk::Audit => audit::Audit().into_any(),
        Desk::History => audit::History().into_any(),
    }
}

/// Brings the file of a part's group; at once where it is there already.
async fn bring(part: &Part) -> Result<Draw, SplitLoaderError> {
    match part {
        Part::Card(_) => card().await.map(Draw::Card),
        Part::Work(_) => work().await.map(Draw::Work),
        Part::Desk(_) => desk().await.map(Draw::Desk),
    }
}

/// A part, as soon as its file is there; or that it could not be had, and *Try again*.
pub fn later(part: Part) -> AnyView {
    let standing = RwSignal::new(Standing::Coming);
    let wanted = part.clone();
    let load = Callback::new(move |()| {
        let wanted = wanted.clone();
        leptos::task::spawn_local(async move {
            let brought = bring(&wanted).await;
            // Whoever wanted it may have gone on.
            standing.try_set(brought.map_or(Standing::Lost, Standing::Here));
        });
    });
    load.run(());
    dynamic(move || {
        let standing = standing.get();
        untrack(|| match (standing, part.clone()) {
            (Standing::Here(Draw::Card(draw)), Part::Card(part)) => draw(part),
            (Standing::Here(Draw::Work(draw)), Part::Work(part)) => draw(part),
            (Standing::Here(Draw::Desk(draw)), Part::Desk(part)) => draw(part),
            (Standing::Lost, part) => part.lost(load),
            _ => nothing(),
        })
    })
}

/// A page of the first group, for the router.
pub fn card_page(page: Card) -> impl Fn() -> AnyView + Clone + Send + 'static {
    move || later(Part::Card(page))
}

/// A page of the second group, for the router.
pub fn work_page(page: Work) -> impl Fn() -> AnyView + Clone + Send + 'static {
    move || later(Part::Work(page.clone()))
}

/// A page of the third group, for the router.
pub fn desk_page(page: Desk) -> impl Fn() -> AnyView + Clone + Send + 'static {
    move || later(Part::Desk(page))
}
