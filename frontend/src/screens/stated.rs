//! What somebody states of a machine by the name of its node: that it is off, or that it is the node.

use leptos::prelude::*;
use portolan_shared::kinds::quarantined_blocks::ReleaseBlock;
use portolan_shared::v1::{List, NodeRow};

use super::address::address_param;
use super::clusters::KINDS;
use super::delete::confirm_field;
use super::panels::Panel;
use crate::api::told::Told;
use crate::api::{Interest, url, use_act, use_read};
use crate::components::button::{Look, button, guarded_button};
use crate::components::copy::copyable;
use crate::components::error::form_error;
use crate::components::facts::card;
use crate::components::panel::{Closing, form, panel};
use crate::components::status::reason_view;
use crate::components::time::use_clock;
use crate::components::{maybe, nothing};
use crate::i18n::{Key, t, tp};
use crate::screens::audit::kinds::{Audited, NO_PAGE};

/// What the audit must know of a block in quarantine.
pub(crate) const AUDITED: Audited = Audited {
    word: "quarantined_block",
    title: Key::ObjectQuarantinedBlock,
    page: NO_PAGE,
};

/// What is to be stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The panel's title.
    pub title: String,
    /// What follows from it.
    pub hint: String,
    /// The name that must be typed.
    pub name: String,
    /// Whether it is that the machine is off, which the call's body says; else the call says it all.
    pub off: bool,
    /// The call.
    pub url: String,
}

impl Statement {
    /// That a found node's machine is that node, or the connected one of a copied node; `nodes` is where the nodes are.
    pub fn admits(node: &NodeRow, nodes: &str) -> Self {
        Self {
            title: tp(Key::AdmitNamed, &[("name", &node.name)]),
            hint: t(Key::AdmitHint).to_owned(),
            name: node.name.clone(),
            off: false,
            url: format!("{nodes}/{}/admit", node.id),
        }
    }

    /// That the machine that holds a block is off; `blocks` is where blocks in quarantine are.
    pub fn off(block: &Told, blocks: &str) -> Self {
        Self {
            title: t(Key::MachineOff).to_owned(),
            hint: tp(Key::MachineOffHint, &[("node", &block.node), ("cidr", &block.cidr)]),
            name: block.node.clone(),
            off: true,
            url: format!("{blocks}/{}/release", block.id),
        }
    }
}

/// The panel. `done` runs once it is stated.
pub fn stated_panel(project: Signal<String>, statement: Statement, close: Callback<()>, done: Callback<()>) -> AnyView {
    let act = use_act();
    let typed = RwSignal::new(String::new());
    let Statement {
        title,
        hint,
        name,
        off,
        url,
    } = statement;
    let label = tp(Key::TypeName, &[("name", &name)]);
    let barred = Signal::derive(move || {
        let other = typed.with(|typed| typed.trim() != name);
        other.then(|| t(Key::TypeNameFirst).to_owned())
    });
    let press = Callback::new(move |()| {
        if barred.with_untracked(Option::is_some) {
            return;
        }
        let (project, url) = (project.get_untracked(), url.clone());
        let then = move |_| {
            done.try_run(());
        };
        let machine_off = typed.get_untracked();
        match off {
            true => act.post(project, url, &ReleaseBlock { machine_off }, then),
            false => act.call(project, url, then),
        }
    });
    let closing = Closing::new(Signal::stored(false), close);
    let body = form(
        vec![
            form_error(act.failure),
            view! { <p>{hint}</p> }.into_any(),
            confirm_field(label, typed),
        ],
        press,
    );
    let send = t(if off { Key::MachineOff } else { Key::Admit }).to_owned();
    let foot = Box::new(move || {
        vec![
            guarded_button(Look::Danger, Signal::stored(send.clone()), act.busy, barred, press),
            button(Look::Plain, Key::Cancel, Callback::new(move |()| closing.request())),
        ]
        .into_any()
    });
    panel(Signal::stored(title), closing, body, foot)
}

/// A cluster's blocks in quarantine, where there are any; `may_write`: whether the reader may say that a machine is off.
pub fn quarantine(project: Signal<String>, cluster: Signal<String>, may_write: Signal<bool>) -> AnyView {
    let blocks = move || {
        let tail = format!("clusters/{}/quarantined-blocks", cluster.get());
        url::of_project(&project.get(), &tail)
    };
    let read = use_read::<List<Told>>(Signal::derive(blocks), Interest::within(KINDS, cluster));
    let (open, set_open) = address_param("off");
    let line = move |block: &Told| {
        let id = block.id.clone();
        let press = Callback::new(move |()| set_open.set(Some(id.clone())));
        let action = match may_write.get() {
            true => button(Look::Plain, Key::MachineOff, press),
            false => nothing(),
        };
        let reason = reason_view("", block.reason.clone(), use_clock());
        view! { <li>{copyable(block.cidr.clone())} {reason} " " {action}</li> }.into_any()
    };
    let list = maybe(move || {
        let list = read.data.get().filter(|list| !list.items.is_empty())?;
        let lines: Vec<AnyView> = list.items.iter().map(line).collect();
        let lines = view! { <ul class="lines">{lines}</ul> }.into_any();
        Some(view! { <div class="cards">{card(Key::Quarantine, lines)}</div> }.into_any())
    });
    let close = Callback::new(move |()| set_open.set(None));
    let done = Callback::new(move |()| {
        set_open.set(None);
        read.again();
    });
    // Once there is a list: the panel stays open while it is read anew.
    let known = Memo::new(move |_| read.data.with(Option::is_some));
    let panel = maybe(move || {
        let id = open.get().filter(|_| known.get() && may_write.get())?;
        let list = read.data.get_untracked()?;
        let block = list.items.iter().find(|block| block.id == id)?;
        let statement = Statement::off(block, &untrack(blocks));
        Some(
            Panel::Stated {
                project,
                statement,
                close,
                done,
            }
            .view(),
        )
    });
    vec![list, panel].into_any()
}
