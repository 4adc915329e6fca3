//! What comes of a command, decided on a [`Draft`]: pure functions, one file a resource.
//!
//! A decision either puts everything it wants and says what was made, or refuses; what a refused one
//! did is taken back by the writer. Rules of the Networking API follow Neutron's unless said.

mod addresses;
mod blocks;
mod claims;
mod clusters;
mod external;
mod identity;
mod networks;
mod nodes;
mod once;
mod pods;
mod ports;
mod removal;
mod requests;
mod shadow;
mod subnets;
mod tickets;

pub use removal::{Goes, Removal};

use std::fmt::Display;
use std::sync::Arc;

use portolan_shared::holder::{At, Holder, Holders, Named, Plain, Several};
use portolan_shared::ids::ProjectId;
use portolan_shared::refusal::Refusal;

use crate::access::{Access, Owned};
use crate::command::{Command, Outcome, Request};
use crate::draft::Draft;
use crate::model::{Cluster, Meta, Object, PROVIDER_PROJECT, Port, Project, owner};
use crate::model::{display_name, hidden};
use crate::quotas::Counted;
use crate::view::PortScope;

/// Decides one command.
///
/// # Errors
/// Why not. The draft then holds leftovers that [`Draft::refuse`] takes back.
pub fn decide(draft: &mut Draft<'_>, request: &Request) -> Result<Outcome, Refusal> {
    if request.within.is_some_and(|point| !draft.view().holds(point)) {
        return Err(Refusal::StoreUnavailable {
            reason: "the store was put back, or lost the newest, while this was asked".to_owned(),
        });
    }
    tickets::counts(draft, request)?;
    if let Some(replayed) = once::replay(draft, request)? {
        return Ok(replayed);
    }
    let objects = command(draft, request)?;
    once::record(draft, request, &objects)?;
    clusters::note_feed(draft);
    Ok(Outcome {
        revision: draft.revision(),
        objects,
        declined: draft.declined(),
        replayed: false,
    })
}

fn command(draft: &mut Draft<'_>, request: &Request) -> Result<Vec<Object>, Refusal> {
    match &request.command {
        Command::CreateNetworks(new) => networks::create(draft, request, new),
        Command::UpdateNetwork(id, change) => networks::update(draft, request, *id, change),
        Command::CreateSubnets(new) => subnets::create(draft, request, new),
        Command::UpdateSubnet(id, change) => subnets::update(draft, request, *id, change),
        Command::CreatePorts(new) => ports::create(draft, request, new),
        Command::UpdatePort(id, change) => ports::update(draft, request, *id, change),
        Command::Delete(what) => Ok(Removal::decide(draft, request, *what)?.carry_out(draft)),
        Command::Kind(command) => command.decide(draft, request),
        Command::CreateCluster(new) => clusters::create(draft, request, new),
        Command::CreateNode { cluster, name, address } => nodes::create(draft, request, *cluster, name, *address),
        Command::CreateJoinToken {
            cluster,
            node,
            secret_hash,
            expires_at,
        } => nodes::create_token(draft, request, *cluster, *node, *secret_hash, *expires_at),
        Command::Join {
            token,
            secret_hash,
            name,
            address,
            key_hash,
        } => nodes::join(draft, *token, secret_hash, name, *address, *key_hash),
        Command::Claim(claim) => claims::claim(draft, claim),
        Command::RelocateNode { node, address } => nodes::relocate(draft, request, *node, *address),
        Command::AdmitNode(id) => claims::admit(draft, request, *id),
        Command::LetGo {
            cluster,
            node,
            machine,
            blocks,
            kept,
        } => {
            claims::keep(draft, *cluster, kept);
            Ok(claims::let_go(draft, *node, machine, blocks))
        }
        Command::ReturnBlocks { node, blocks } => blocks::return_blocks(draft, *node, blocks),
        Command::ReleaseBlock(id) => claims::release(draft, *id),
        Command::LeaseBlock { node, have } => blocks::lease_block(draft, *node, *have),
        Command::ReportPods {
            node,
            full,
            seq,
            allocations,
            releases,
        } => {
            let in_order = request.ticket.is_some();
            pods::report(draft, *node, *full, in_order, *seq, allocations, releases)
        }
        Command::ReportNodes(reports) => Ok(nodes::report(draft, reports)),
        Command::AwaitNodes(awaited) => Ok(nodes::wait_for(draft, awaited)),
        Command::FileRequest(new) => requests::file(draft, request, new),
        Command::OnRequest {
            request: id,
            side,
            step,
        } => requests::step(draft, request, *id, *side, step),
        Command::CreateProject { name, description } => identity::create_project(draft, name, description),
        Command::DeleteProject(id) => identity::delete_project(draft, *id),
        Command::CreateUser(user) => identity::create_user(draft, user),
        Command::ChangeUser(id, change) => identity::change_user(draft, *id, change),
        Command::SetLanguage { user, language } => identity::set_language(draft, *user, language.clone()),
        Command::DeleteUser(id) => identity::delete_user(draft, *id),
        Command::Assign(assignment) => identity::assign(draft, *assignment),
        Command::Unassign(assignment) => Ok(identity::unassign(draft, *assignment)),
        Command::BeginSession(session, proof) => identity::begin_session(draft, session, proof),
        Command::DeleteSession(hash) => Ok(identity::delete_session(draft, *hash)),
        Command::KeepAnswer(hash, answer) => Ok(once::keep(draft, *hash, answer)),
        Command::Expire => Ok(identity::expire(draft)),
    }
}

// ---- what several resources need ----

/// No such thing, or none the caller may see.
fn not_found(kind: &str, id: impl Display) -> Refusal {
    Refusal::NotFound {
        kind: kind.to_owned(),
        id: id.to_string(),
    }
}

/// The object, if the caller may read it.
pub(crate) fn visible<T: Owned>(
    request: &Request,
    found: Option<Arc<T>>,
    kind: &str,
    id: impl Display,
) -> Result<Arc<T>, Refusal> {
    found
        .filter(|object| request.scope.reads(&**object))
        .ok_or_else(|| not_found(kind, id))
}

/// `If-Match`.
pub(crate) fn check_revision(request: &Request, meta: &Meta, kind: &str, id: impl Display) -> Result<(), Refusal> {
    match request.if_match {
        Some(expected) if expected != meta.revision_number => Err(Refusal::RevisionMismatch {
            kind: kind.to_owned(),
            id: id.to_string(),
            expected,
            actual: meta.revision_number,
        }),
        _ => Ok(()),
    }
}

/// The project in which something is to be made: the caller's own, or any for an administrator.
pub(crate) fn target_project(draft: &Draft<'_>, request: &Request, id: ProjectId) -> Result<Arc<Project>, Refusal> {
    draft
        .project(id)
        .filter(|_| request.scope.access_in(id) == Access::Write)
        .ok_or_else(|| not_found("Project", id))
}

/// The provider's project.
fn provider(draft: &Draft<'_>) -> Result<Arc<Project>, Refusal> {
    let found = draft.project_by_name(PROVIDER_PROJECT).and_then(|id| draft.project(id));
    found.ok_or_else(|| not_found("Project", PROVIDER_PROJECT))
}

/// Whether a project may have `more` of something.
fn check_quota(draft: &Draft<'_>, project: &Project, counted: Counted, more: u64) -> Result<(), Refusal> {
    if project.name == PROVIDER_PROJECT {
        return Ok(());
    }
    let (used, limit) = (draft.count(project.id, counted), draft.quotas.limit(counted));
    if used.saturating_add(more) > limit {
        return Err(Refusal::OverQuota {
            resource: counted.word().to_owned(),
            limit,
            used,
        });
    }
    Ok(())
}

/// How many holders a sentence names before "and N more".
const NAMED: usize = 5;

/// How many ports of a network or subnet are looked at to name some.
const LOOKED_AT: usize = 100;

/// Who has ports in a network or subnet: all but its shadow port, which stands in nobody's way.
struct Users {
    /// The first of them.
    some: Vec<Arc<Port>>,
    /// How many there are.
    count: u64,
}

fn users(draft: &Draft<'_>, scope: PortScope) -> Users {
    let shadow = shadow_in(draft, scope).map(|port| port.id);
    Users {
        some: draft.first_ports(scope, LOOKED_AT, |port| Some(port.id) != shadow),
        count: draft.port_count(scope).saturating_sub(u64::from(shadow.is_some())),
    }
}

/// The shadow port of a network, or of a subnet's network if it has an address there.
fn shadow_in(draft: &Draft<'_>, scope: PortScope) -> Option<Arc<Port>> {
    let (network, inside) = match scope {
        PortScope::Network(id) => (id, None),
        PortScope::Subnet(id) => (draft.subnet(id)?.network, Some(id)),
        _ => return None,
    };
    let port = draft.network(network)?.shadow_port.and_then(|id| draft.port(id))?;
    inside.is_none_or(|subnet| port.is_in(subnet)).then_some(port)
}

/// Ports as holders: those the caller may see by name, others as whose they are; those that were not
/// looked at as more.
fn name_ports(request: &Request, users: &Users) -> Holders {
    let named = |port: &&Arc<Port>| request.scope.access_in(port.meta.project) >= Access::Read;
    let (mine, others): (Vec<_>, Vec<_>) = users.some.iter().partition(named);
    let mut named: Vec<Holder> = mine
        .iter()
        .take(NAMED)
        .map(|port| describe(port, request.scope.project))
        .collect();
    let more = users.count.saturating_sub((named.len() + others.len()) as u64);
    if more > 0 {
        named.push(Holder::Count(Several::More, more));
    }
    match others.len() {
        0 => {}
        1 => named.push(Holder::The(Plain::ForeignPort)),
        n => named.push(Holder::Count(Several::ForeignPort, n as u64)),
    }
    Holders(named)
}

/// Clusters as holders, by name.
fn name_clusters<'a>(clusters: impl IntoIterator<Item = &'a Arc<Cluster>>) -> Holders {
    let named = clusters
        .into_iter()
        .map(|cluster| Holder::cluster(&cluster.name, cluster.id));
    Holders(named.collect())
}

/// A port as a holder, for a reader in a project. A shadow port is the provider's, whoever asks.
fn describe(port: &Port, reader: Option<ProjectId>) -> Holder {
    // External IPs are shown with their cluster and have no page of their own.
    let page = &*port.device_owner != owner::EXTERNAL && Some(port.meta.project) == reader;
    let at = page.then_some(At::Port(port.id));
    let (kind, name) = match (&port.pod, &*port.device_owner) {
        (Some(pod), _) => (Named::Pod, format!("{}/{}", pod.namespace, pod.name)),
        (None, owner::NODE) => (Named::Node, port.name.to_string()),
        (None, owner::SHADOW) => return Holder::The(Plain::Provider),
        (None, owner::EXTERNAL) => (Named::ExternalIp, port.name.to_string()),
        (None, _) => (Named::Port, display_name(&port.name, port.id)),
    };
    Holder::Named(kind, name, at)
}

/// The holder of an address or MAC, as far as the caller may know.
fn holder(request: &Request, port: &Port) -> Holder {
    match request.scope.reads(port) {
        true => describe(port, request.scope.project),
        false if hidden(port) => Holder::The(Plain::Provider),
        false => Holder::The(Plain::ForeignPort),
    }
}
