//! Panels that add or delete something. They are in the same lazily loaded file as the pages that make something.

use std::sync::Arc;

use leptos::prelude::*;
use leptos::wasm_split::{SplitLoaderError, wasm_split};
use portolan_shared::v1::{AddressSpace, NetworkRow, PortRow, SubnetRow};

use super::delete::{DeleteTarget, delete_panel};
use super::stated::{Statement, stated_panel};
use super::{add_node, add_port, add_subnet};
use crate::components::lazy::{Draw, LazyPart, lazy};
use crate::i18n::{Key, t};

/// A panel and what it needs.
#[derive(Clone)]
pub enum Panel {
    /// Adds a node.
    AddNode {
        /// The project.
        project: Signal<String>,
        /// The cluster's id.
        cluster: Signal<String>,
        /// Closes the panel.
        close: Callback<()>,
    },
    /// Adds a subnet.
    AddSubnet {
        /// The project.
        project: Signal<String>,
        /// The network the subnet will be in.
        network: Signal<Option<NetworkRow>>,
        /// Which addresses are free.
        space: Signal<Option<AddressSpace>>,
        /// Closes the panel.
        close: Callback<()>,
    },
    /// Adds a port.
    AddPort {
        /// The project.
        project: Signal<String>,
        /// The subnet the port will be in.
        subnet: Signal<Option<SubnetRow>>,
        /// Those that are there.
        ports: Signal<Vec<PortRow>>,
        /// Closes the panel.
        close: Callback<()>,
    },
    /// Deletes something.
    Delete {
        /// The project.
        project: Signal<String>,
        /// What is deleted.
        target: DeleteTarget,
        /// Closes the panel.
        close: Callback<()>,
        /// Runs once it is deleted.
        done: Callback<()>,
    },
    /// States something of a machine.
    Stated {
        /// The project.
        project: Signal<String>,
        /// What is stated.
        statement: Statement,
        /// Closes the panel.
        close: Callback<()>,
        /// Runs once it is stated.
        done: Callback<()>,
    },
}

impl Panel {
    /// What it is called, and what closes it.
    fn frame(&self) -> (String, Callback<()>) {
        match self {
            Panel::AddNode { close, .. } => (t(Key::AddNode).to_owned(), *close),
            Panel::AddSubnet { close, .. } => (t(Key::AddSubnet).to_owned(), *close),
            Panel::AddPort { close, .. } => (t(Key::AddPort).to_owned(), *close),
            Panel::Delete { target, close, .. } => (target.title(), *close),
            Panel::Stated { statement, close, .. } => (statement.title.clone(), *close),
        }
    }

    /// The panel, as soon as its file is there.
    pub fn view(self) -> AnyView {
        let frame = self.frame();
        lazy(LazyPart {
            load: Box::new(move || {
                let panel = self.clone();
                Box::pin(async move {
                    let draw_panel = editing().await?;
                    let draw: Draw = Arc::new(move || draw_panel(panel.clone()));
                    Ok(draw)
                })
            }),
            panel: Some(frame),
        })
    }
}

#[wasm_split(editing, wasm_split_path = ::leptos::wasm_split, fallible)]
fn editing() -> Result<fn(Panel) -> AnyView, SplitLoaderError> {
    Ok(draw_panel)
}

fn draw_panel(panel: Panel) -> AnyView {
    match panel {
        Panel::AddNode {
            project,
            cluster,
            close,
        } => add_node::add_node_panel(project, cluster, close),
        Panel::AddSubnet {
            project,
            network,
            space,
            close,
        } => add_subnet::add_subnet(project, network, space, close),
        Panel::AddPort {
            project,
            subnet,
            ports,
            close,
        } => add_port::add_port(project, subnet, ports, close),
        Panel::Delete {
            project,
            target,
            close,
            done,
        } => delete_panel(project, target, close, done),
        Panel::Stated {
            project,
            statement,
            close,
            done,
        } => stated_panel(project, statement, close, done),
    }
}
