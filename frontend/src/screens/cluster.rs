//! A cluster: how far it is, what it is made of.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use portolan_shared::v1::{ClusterRow, NodesFrom, One, PlanKind, Stage, StageKind, SubnetRef};

use super::clusters::{KINDS, ready_of};
use super::delete::DeleteTarget;
use super::object::{Deletion, ObjectPage, Panels, object_page};
use super::panels::Panel;
use super::stated::quarantine;
use crate::api::{Interest, url, use_read};
use crate::components::bar::bar;
use crate::components::button::head_button;
use crate::components::copy::copyable;
use crate::components::facts::{card, fact, facts, link, noted, words};
use crate::components::page::{Crumb, Figure};
use crate::components::status::{reason_view, status};
use crate::components::summary::summary;
use crate::components::tabs::Tab;
use crate::components::time::{time, use_clock};
use crate::components::why::{Link, chain};
use crate::components::{maybe, nothing};
use crate::i18n::{Key, format, t, tn};
use crate::paths;
use crate::screens::audit::kinds::Audited;
use crate::session::{use_param, use_project, use_session};

/// What the audit must know of one.
pub(crate) const AUDITED: Audited = Audited {
    word: "cluster",
    title: Key::ObjectCluster,
    page: |project, id, _| Some(paths::cluster(project, id)),
};

/// Opens the panel that adds a node.
const JOIN: &str = "join";

/// First glance.
pub fn figures(cluster: &ClusterRow) -> Vec<Figure> {
    let away = super::clusters::away(cluster);
    let counts = vec![tn(Key::CountNodes, cluster.nodes), tn(Key::CountPods, cluster.pods)];
    let wrong = (away > 0).then(|| tn(Key::NodesNotReady, away));
    let ready = cluster.nodes > 0 && cluster.nodes_ready == cluster.nodes;
    summary(counts, wrong, ready.then_some(Key::AllReady))
}

/// What the tabs of the page share.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// The cluster.
    cluster: Signal<Option<ClusterRow>>,
    /// Opens *Add node*.
    pub(super) add_node: Callback<()>,
    /// Whether the reader may change things.
    pub(super) may_write: Signal<bool>,
}

/// The page around its tabs.
#[component]
pub fn Cluster() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let id = use_param("id");
    let navigate = use_navigate();
    let read = use_read::<One<ClusterRow>>(
        Signal::derive(move || url::of_project(&project.get(), &format!("clusters/{}", id.get()))),
        Interest::within(KINDS, id),
    );
    let cluster = Signal::derive(move || read.data.with(|data| data.as_ref().map(|one| one.item.clone())));
    let panels = Panels::of_page();
    let add_node = panels.opener(JOIN);
    let may_write = Signal::derive(move || session.may_write(&project.get()));
    provide_context(Page {
        cluster,
        add_node,
        may_write,
    });
    let name = Signal::derive(move || {
        cluster.with(|cluster| {
            cluster
                .as_ref()
                .map_or_else(String::new, |cluster| cluster.name.clone())
        })
    });
    let deleted = Callback::new(move |()| navigate(&paths::clusters(&project.get_untracked()), Default::default()));
    let tail = move || format!("clusters/{}", id.get_untracked());
    let target = move || DeleteTarget {
        kind: PlanKind::Cluster,
        name: name.get_untracked(),
        url: url::of_project(&project.get_untracked(), &tail()),
        tail: tail(),
    };
    // The lab adds the nodes of its clusters; people cannot.
    let of_lab = Memo::new(move |_| {
        let of_lab = |cluster: &ClusterRow| cluster.nodes_from == NodesFrom::Lab;
        cluster.with(|cluster| cluster.as_ref().is_some_and(of_lab))
    });
    let actions = move || {
        if !may_write.get() {
            return nothing();
        }
        let made = of_lab.get().then(|| t(Key::LabMakesNodes).to_owned());
        vec![
            head_button(Key::Delete, false, None, panels.delete()),
            head_button(Key::AddNode, true, made, add_node),
        ]
        .into_any()
    };
    let panel = move |name: String| {
        let joining = name == JOIN && may_write.get() && !of_lab.get();
        joining.then(|| {
            Panel::AddNode {
                project,
                cluster: id,
                close: panels.close(),
            }
            .view()
        })
    };
    let tab = |title, href, count| Tab { title, href, count };
    object_page(ObjectPage {
        name,
        crumbs: Signal::derive(move || {
            vec![
                Crumb::link(t(Key::Clusters), paths::clusters(&project.get())),
                Crumb::here(name.get()),
            ]
        }),
        figures: Signal::derive(move || cluster.with(|cluster| cluster.as_ref().map(figures).unwrap_or_default())),
        actions: Arc::new(actions),
        tabs: (
            Key::ClusterTabs,
            vec![
                tab(
                    Key::Overview,
                    Signal::derive(move || paths::cluster(&project.get(), &id.get())),
                    Signal::stored(None),
                ),
                tab(
                    Key::Nodes,
                    Signal::derive(move || paths::cluster_nodes(&project.get(), &id.get())),
                    Signal::derive(move || cluster.with(|cluster| cluster.as_ref().map(|cluster| cluster.nodes))),
                ),
                tab(
                    Key::History,
                    Signal::derive(move || paths::history(&paths::cluster(&project.get(), &id.get()))),
                    Signal::stored(None),
                ),
            ],
        ),
        missing: (
            Key::NoSuchCluster,
            Signal::derive(move || paths::clusters(&project.get())),
            Key::ToClusters,
        ),
        reading: read.into(),
        panels,
        delete: Deletion {
            target: Arc::new(target),
            may: may_write,
            done: deleted,
        },
        panel: Callback::new(panel),
    })
}

/// *Overview*.
#[component]
pub fn Overview() -> impl IntoView {
    let project = use_project();
    let page = expect_context::<Page>();
    let facts = maybe(move || Some(overview(&page.cluster.get()?, &project.get())));
    let quarantine = quarantine(project, use_param("id"), page.may_write);
    vec![facts, quarantine].into_any()
}

/// What is to be known of a cluster.
fn overview(cluster: &ClusterRow, project: &str) -> AnyView {
    let (tone, word) = super::words::cluster_state(cluster.state);
    let network = cluster.network.id.to_string();
    let subnet = |subnet: &SubnetRef| {
        let href = paths::subnet_ports(project, &subnet.id.to_string());
        let name = if subnet.name.is_empty() {
            t(Key::Subnet).to_owned()
        } else {
            subnet.name.clone()
        };
        noted(copyable(subnet.cidr.to_string()), link(name, href))
    };
    let mut network = link(
        super::words::name_or_id(&cluster.network.name, &network),
        paths::network(project, &network),
    );
    if cluster.private_network {
        network = noted(network, words(t(Key::PrivateNetwork)));
    }
    let about = facts(vec![
        fact(Key::Status, status(tone, word, cluster.reason.clone())),
        fact(Key::Nodes, words(ready_of(cluster))),
        fact(Key::Pods, words(format::number(cluster.pods))),
        fact(Key::Network, network),
        fact(Key::ExternalIp, external_ip(cluster)),
        fact(Key::Id, copyable(cluster.id.to_string())),
        fact(Key::Created, time(cluster.created_at.clone())),
    ]);
    let addressing = facts(vec![
        fact(Key::NodeAddresses, subnet(&cluster.node_subnet)),
        fact(Key::PodAddresses, subnet(&cluster.pod_subnet)),
        fact(Key::Blocks, bar(cluster.blocks, cluster.blocks_total, false)),
        fact(
            Key::ServiceAddresses,
            noted(copyable(cluster.service_range.to_string()), words(t(Key::ServiceHint))),
        ),
        fact(Key::PathBetween, words(t(super::words::path(cluster.path)))),
        fact(Key::Mtu, words(cluster.mtu.to_string())),
    ]);
    let mut cards = vec![card(Key::About, about), card(Key::Addressing, addressing)];
    if !cluster.stages.is_empty() {
        cards.insert(1, card(Key::Creation, stages(&cluster.stages)));
    }
    view! { <div class="cards">{cards}</div> }.into_any()
}

/// Its address for the outside, and whether anything carries its packets.
fn external_ip(cluster: &ClusterRow) -> AnyView {
    let Some(external) = &cluster.external_ip else {
        return words(t(Key::No));
    };
    let address = copyable(external.address.to_string());
    match &external.reason {
        Some(reason) if !external.carried => {
            let reason = reason_view("facts__warning", reason.clone(), use_clock());
            view! { {address} {reason} }.into_any()
        }
        _ => address,
    }
}

/// Its creation, stage by stage.
fn stages(stages: &[Stage]) -> AnyView {
    let links = stages.iter().map(|stage| Link {
        name: match stage.stage {
            StageKind::Network => Key::StageNetwork,
            StageKind::ExternalIp => Key::StageExternalIp,
            StageKind::Services => Key::StageServices,
            StageKind::Joined => Key::StageJoined,
            StageKind::Ready => Key::StageReady,
        },
        state: stage.state,
        reason: stage.reason.clone(),
        note: stage.at.clone().map(time),
    });
    chain(Key::Creation, links.collect())
}
