//! The fields of *Create cluster*, and how each is seen.

use std::sync::Arc;

use leptos::prelude::*;
use portolan_shared::v1::{NetworkRow, NodesFrom, PathKind, SubnetRow};

use crate::components::choice::{Choice, Note, choices_field};
use crate::components::facts::link;
use crate::components::field::{LINE, Look, Message, text_field};
use crate::components::maybe;
use crate::components::ranges::range_remarks;
use crate::components::select::checked_select;
use crate::components::time::use_clock;
use crate::forms::cluster::{Barred, Checked, Context, ExternalIpOptions, GrantState, LAB_NODES, Typed, room};
use crate::forms::range::Said;
use crate::i18n::{Key, format, t, tp};
use crate::paths;
use crate::screens::words;
use crate::session::use_session;

/// Paths between nodes, as the form lists them.
const PATHS: [PathKind; 3] = [PathKind::Auto, PathKind::Routes, PathKind::Vxlan];

/// The form's fields.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub(super) name: RwSignal<String>,
    pub(super) network: RwSignal<String>,
    pub(super) node_subnet: RwSignal<String>,
    pub(super) nodes: RwSignal<String>,
    pub(super) pods: RwSignal<String>,
    pub(super) services: RwSignal<String>,
    pub(super) external: RwSignal<Option<bool>>,
    pub(super) path: RwSignal<usize>,
    pub(super) lab: RwSignal<bool>,
    pub(super) count: RwSignal<String>,
}

impl Fields {
    pub(super) fn new() -> Self {
        let text = || RwSignal::new(String::new());
        Self {
            name: text(),
            network: text(),
            node_subnet: text(),
            nodes: text(),
            pods: text(),
            services: text(),
            external: RwSignal::new(None),
            path: RwSignal::new(0),
            lab: RwSignal::new(false),
            count: text(),
        }
    }

    pub(super) fn typed(self) -> Typed {
        Typed {
            name: self.name.get(),
            network: self.network.get(),
            node_subnet: self.node_subnet.get(),
            nodes: self.nodes.get(),
            pods: self.pods.get(),
            services: self.services.get(),
            external: self.external.get(),
            path: PATHS.get(self.path.get()).copied().unwrap_or_default(),
            from: if self.lab.get() {
                NodesFrom::Lab
            } else {
                NodesFrom::Join
            },
            count: self.count.get(),
        }
    }
}

/// A refusal of the server that is shown at a field, with the field's name.
pub(super) type Refused = RwSignal<Option<(String, Message)>>;

/// Fields that show the server's refusal themselves.
pub(super) const OWN: [&str; 7] = [
    "name",
    "network",
    "node_subnet",
    "node_range",
    "pod_range",
    "service_range",
    "nodes",
];

/// The form's parts on screen.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// What is typed.
    pub(super) fields: Fields,
    /// What it is checked against.
    pub(super) context: Memo<Option<Context>>,
    /// What is to be said about it.
    pub(super) checked: RwSignal<Checked>,
    /// What the server said.
    pub(super) refused: Refused,
    /// Whether it was tried to send it.
    pub(super) tried: RwSignal<bool>,
}

impl Form {
    /// The message under a field: the server's, else the form's own.
    fn said(self, field: &'static str, pick: fn(&Checked) -> Option<Message>) -> Signal<Option<Message>> {
        Signal::derive(move || {
            let refused = self.refused.get().filter(|(of, _)| of == field);
            match refused {
                Some((_, message)) => Some(message),
                None => self.checked.with(pick),
            }
        })
    }

    pub(super) fn name(self) -> AnyView {
        let said = self.said("name", |checked| checked.name.clone());
        // No error yet for a name that was not typed.
        let said = Signal::derive(move || {
            let waits = !self.tried.get() && self.fields.name.with(String::is_empty);
            said.get().filter(|_| !waits)
        });
        let look = Look { first: true, ..LINE };
        text_field(
            "name",
            Key::Name,
            look,
            self.fields.name,
            said,
            Some(Key::ClusterNameHint),
        )
    }

    pub(super) fn network(self) -> AnyView {
        let choices = Signal::derive(move || {
            let private = (String::new(), t(Key::MakePrivate).to_owned());
            let network = |network: &NetworkRow| {
                let id = network.id.to_string();
                let name = words::name_or_id(&network.name, &id);
                (id, name)
            };
            self.context.with(|context| {
                let networks = context.iter().flat_map(Context::networks_to_choose).map(network);
                std::iter::once(private).chain(networks).collect::<Vec<_>>()
            })
        });
        let own = maybe(move || (!self.fields.network.with(String::is_empty)).then(|| self.node_subnet()));
        let said = self.said("network", |checked| checked.network.clone());
        vec![
            checked_select(
                "network",
                Key::Network,
                false,
                choices,
                self.fields.network,
                said,
                Some(Key::PrivateHint),
            ),
            own,
        ]
        .into_any()
    }

    fn node_subnet(self) -> AnyView {
        let choices = Signal::derive(move || {
            let none = (String::new(), t(Key::ChooseOne).to_owned());
            let subnet = |subnet: &SubnetRow| {
                let name = format!("{} {}", subnet.name, subnet.cidr);
                let room = format::number(room(subnet));
                let words = tp(Key::NodeSubnetChoice, &[("name", name.trim()), ("room", &room)]);
                (subnet.id.to_string(), words)
            };
            self.context.with(|context| {
                let subnets = context.iter().flat_map(Context::node_subnets).map(subnet);
                std::iter::once(none).chain(subnets).collect::<Vec<_>>()
            })
        });
        let said = self.said("node_subnet", |checked| checked.node_subnet.clone());
        checked_select(
            "node_subnet",
            Key::NodeSubnet,
            false,
            choices,
            self.fields.node_subnet,
            said,
            Some(Key::NodeSubnetHint),
        )
    }

    pub(super) fn ranges(self) -> AnyView {
        let range = move |name: &'static str, label: Key, value: RwSignal<String>, pick: fn(&Checked) -> &Said| {
            let known = Signal::derive(move || self.checked.with(|checked| pick(checked).clone()));
            let said = Signal::derive(move || {
                let refused = self.refused.get().filter(|(of, _)| of == name);
                refused.map(|(_, message)| message).or_else(|| known.get().message)
            });
            let look = Look { mono: true, ..LINE };
            let field = text_field(name, label, look, value, said, Some(Key::RangeHint));
            view! { <div class="field">{field} {range_remarks(known, value, name, Key::ThisRange)}</div> }.into_any()
        };
        let fields = self.fields;
        let nodes = maybe(move || {
            let private = fields.network.with(String::is_empty);
            private.then(|| range("node_range", Key::NodeAddresses, fields.nodes, |checked| &checked.nodes))
        });
        vec![
            nodes,
            range("pod_range", Key::PodAddresses, fields.pods, |checked| &checked.pods),
            range("service_range", Key::ServiceAddresses, fields.services, |checked| {
                &checked.services
            }),
        ]
        .into_any()
    }

    pub(super) fn external(self, project: Signal<String>) -> AnyView {
        let options = Memo::new(move |_| {
            let id = self.fields.network.get();
            self.context.with(|context| match context {
                Some(context) => ExternalIpOptions::of(context.network(&id), &context.grant),
                None => ExternalIpOptions::of(None, &GrantState::default()),
            })
        });
        let choice = |label, hint, barred: fn(&ExternalIpOptions) -> Option<Barred>| {
            let why: Note = Arc::new(move || match options.with(barred) {
                Some(barred) => barred_view(&barred, &project.get()),
                None => t(hint).into_any(),
            });
            Choice {
                label,
                note: Some(why),
                off: Signal::derive(move || options.with(barred).is_some()),
            }
        };
        let choices = vec![
            choice(Key::ExternalWith, Key::ExternalWithHint, |options| options.with.clone()),
            choice(Key::ExternalWithout, Key::ExternalWithoutHint, |options| {
                options.without.clone()
            }),
        ];
        let external = self.fields.external;
        let value = Signal::derive(move || usize::from(!options.with(|options| options.settle(external.get()))));
        let choose = Callback::new(move |place| external.set(Some(place == 0)));
        choices_field(Key::ExternalIp, choices, value, choose)
    }

    pub(super) fn path(self) -> AnyView {
        let choices = PATHS.into_iter().map(path_choice).collect();
        let path = self.fields.path;
        choices_field(
            Key::PathBetween,
            choices,
            path.into(),
            Callback::new(move |place| path.set(place)),
        )
    }

    pub(super) fn nodes(self) -> AnyView {
        let session = use_session();
        let Fields { lab, count, .. } = self.fields;
        let choose = Callback::new(move |place| {
            lab.set(place == 1);
            count.set(if place == 1 {
                LAB_NODES.to_owned()
            } else {
                String::new()
            });
        });
        let from = maybe(move || {
            session.has_lab().then(|| {
                let choices = vec![
                    Choice::noted(Key::FromJoin, Key::FromJoinHint),
                    Choice::noted(Key::FromLab, Key::FromLabHint),
                ];
                let value = Signal::derive(move || usize::from(lab.get()));
                choices_field(Key::NodesComeFrom, choices, value, choose)
            })
        });
        let said = self.said("nodes", |checked| checked.count.clone());
        let many = maybe(move || {
            let (label, hint) = match lab.get() {
                true => (Key::NodesOfLab, None),
                false => (Key::NodesExpected, Some(Key::NodesExpectedHint)),
            };
            Some(text_field("nodes", label, LINE, count, said, hint))
        });
        vec![from, many].into_any()
    }
}

/// A path as it is offered: one that cannot be chosen stays in sight and says why.
fn path_choice(path: PathKind) -> Choice {
    match words::path_offer(path) {
        (label, None) => Choice::plain(label),
        (label, Some(why)) => Choice {
            off: Signal::stored(true),
            ..Choice::noted(label, why)
        },
    }
}

/// Why not, and where to go for it.
fn barred_view(barred: &Barred, project: &str) -> AnyView {
    let clock = use_clock();
    let (why, go) = match barred {
        Barred::NoInternet(network) => (tp(Key::BarredNoInternet, &[("network", network)]), None),
        Barred::NoServices(network) => (tp(Key::BarredNoServices, &[("network", network)]), None),
        Barred::NotGranted(grant) => match grant {
            GrantState::Pending(since) => {
                let date = format::parse_time(since).map(|at| format::date(at, clock.zone()));
                let said = tp(Key::StandingReview, &[("date", &date.unwrap_or_default())]);
                (said, Some((Key::RequestSeeOpen, paths::shadowport(project))))
            }
            GrantState::Declined(message) => (
                tp(Key::DeclinedWith, &[("message", message)]),
                Some((Key::AskAgain, paths::shadowport(project))),
            ),
            GrantState::Over(message) if !message.is_empty() => (
                tp(Key::GrantOverWith, &[("message", message)]),
                Some((Key::RequestIt, paths::shadowport_new(project, ""))),
            ),
            GrantState::Over(_) => (
                t(Key::GrantOver).to_owned(),
                Some((Key::RequestIt, paths::shadowport_new(project, ""))),
            ),
            GrantState::NotAsked | GrantState::Granted => (
                t(Key::NeedsShadowport).to_owned(),
                Some((Key::RequestIt, paths::shadowport_new(project, ""))),
            ),
        },
    };
    let go = go.map(|(label, href)| link(t(label).to_owned(), href));
    view! { {why} " " {go} }.into_any()
}
