//! The one table of what `/portolan/v1` does. The router is made of it, so nothing that is not here
//! can be called; the OpenAPI document and its page are made of it; a test calls every line of it
//! with every role.

mod requests;

use portolan_shared::ids::ProjectId;
use portolan_shared::kinds::epochs::ToldEpoch;
use portolan_shared::kinds::quarantined_blocks::{QuarantinedBlockRow, ReleaseBlock};
use portolan_shared::v1::{
    AddressSpace, AuditEntry, AuditKind, AuditOp, ChangeNode, ChangeSession, ClusterRow, CreateCluster, CreateNode,
    DeletePlan, JoinToken, List, LogIn, NetworkRow, NodeRow, NodesFrom, One, PortRow, ProjectCluster, Quota, Session,
    SubnetRow, Through, WhyStep,
};
use serde_json::{Value, json};

use super::operation::{Gives, Nothing, Operation, Tag, Who, chapter};
use super::{audit, clusters, description, events, histories, networks, nodes, plans, ports, quotas, session, subnets};
use crate::api::resources::RESOURCES;
use crate::api::route::{Route, delete, get, post, put};

/// Every operation, chapter by chapter.
pub fn operations() -> Vec<Operation> {
    let mut all = Vec::with_capacity(64);
    all.extend(session());
    all.extend(project());
    all.extend(RESOURCES.iter().flat_map(|resource| (resource.operations)()));
    all.extend(clusters());
    all.extend(nodes());
    all.extend(plans());
    all.extend(requests::shadowport());
    all.extend(requests::support());
    all.extend(epochs());
    all.extend(audit());
    all.extend(events());
    all.extend(description());
    all
}

fn session() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::SESSION,
        [
            post("/session", session::create)
                .is("logIn", Who::Anybody, "Log in to the console")
                .about(
                    "The session's secret comes in the cookie `portolan_session`, which scripts cannot read. Everything \
                     that writes with that cookie must send the answer's `csrf` in `X-CSRF-Token`.",
                )
                .takes::<LogIn>()
                .gives::<Session>()
                .refuses(&["auth.failed", "auth.busy", "auth.csrf"]),
            get("/session", session::show)
                .is("showSession", Who::Session, "Who is logged in, and in which projects")
                .gives::<Session>(),
            put("/session", session::update)
                .is("changeSession", Who::Session, "Choose the console's language")
                .about("Kept with the account, so it holds for the user's other sessions too.")
                .takes::<ChangeSession>()
                .gives::<Session>()
                .refuses(&["value.not_one_of"]),
            delete("/session", session::delete).is("logOut", Who::Session, "Log out: the session ends, with its streams"),
        ],
    )
}

fn project() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::PROJECT,
        [
            get("/projects/{project}/address-space", networks::address_space)
                .is(
                    "showAddressSpace",
                    Who::Reader,
                    "Everything that uses addresses in a project",
                )
                .about("For checking overlap while a range is typed.")
                .gives::<AddressSpace>(),
            get("/projects/{project}/quotas", quotas::list)
                .is("listQuotas", Who::Reader, "What a project has and may have")
                .gives::<List<Quota>>(),
        ],
    )
}

/// A page of a long list.
fn paged(operation: Operation) -> Operation {
    operation
        .asks("limit", whole(0, 1_000), "Most items of a page; 1 to 10 000, what is beyond is taken as the nearest.")
        .asks(
            "marker",
            json!({ "type": "string" }),
            "Where to go on: `next` of the page before.",
        )
        .asks(
            "filter",
            json!({ "type": "string", "maxLength": 1_024 }),
            "Words, all of which must fit: anything in a name, address, description, device, node, MAC or the whole id; \
             or `status:`, `kind:`, `node:`, `ip:` (part of an address, or a CIDR) and `name:` with a part of it. \
             `total` then counts what fits.",
        )
}

/// A project's id, or nothing.
fn one_or_all() -> Value {
    json!({ "anyOf": [{ "$ref": "#/components/schemas/ProjectId" }, { "const": "" }] })
}

/// A whole number that is not negative.
fn whole(min: u64, default: u64) -> Value {
    json!({ "type": "integer", "minimum": min, "default": default })
}

/// Networks.
pub fn networks() -> Vec<Operation> {
    chapter(
        Tag::NETWORKS,
        [
            get("/projects/{project}/networks", networks::list)
                .is("listNetworks", Who::Reader, "Networks of a project, by name")
                .gives::<List<NetworkRow>>(),
            get("/projects/{project}/networks/{id}", networks::show)
                .is("showNetwork", Who::Reader, "A network")
                .gives::<One<NetworkRow>>(),
            get("/projects/{project}/networks/{id}/subnets", subnets::of_network)
                .is("listSubnetsOfNetwork", Who::Reader, "Subnets of a network, by address")
                .gives::<List<SubnetRow>>(),
            paged(
                get("/projects/{project}/networks/{id}/ports", ports::of_network)
                    .is(
                        "listPortsOfNetwork",
                        Who::Reader,
                        "Ports of a network, by address, in pages",
                    )
                    .gives::<List<PortRow>>()
                    .refuses(&["value.not_an_id", "value.too_long", "value.wrong_type"]),
            ),
        ],
    )
    .collect()
}

/// Subnets.
pub fn subnets() -> Vec<Operation> {
    chapter(
        Tag::SUBNETS,
        [
            get("/projects/{project}/subnets/{id}", subnets::show)
                .is("showSubnet", Who::Reader, "A subnet")
                .gives::<One<SubnetRow>>(),
            paged(
                get("/projects/{project}/subnets/{id}/ports", ports::of_subnet)
                    .is(
                        "listPortsOfSubnet",
                        Who::Reader,
                        "Ports of a subnet, by address, in pages",
                    )
                    .gives::<List<PortRow>>()
                    .refuses(&["value.not_an_id", "value.too_long", "value.wrong_type"]),
            ),
        ],
    )
    .collect()
}

/// Ports.
pub fn ports() -> Vec<Operation> {
    chapter(
        Tag::PORTS,
        [
            get("/projects/{project}/ports/{id}", ports::show)
                .is("showPort", Who::Reader, "A port")
                .gives::<One<PortRow>>(),
            get("/projects/{project}/ports/{id}/why", ports::why)
                .is(
                    "explainPort",
                    Who::Reader,
                    "Why a port has its status: the chain that must hold, step by step",
                )
                .gives::<One<Vec<WhyStep>>>(),
        ],
    )
    .collect()
}

fn clusters() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::CLUSTERS,
        [
            get("/projects/{project}/clusters", clusters::list)
                .is("listClusters", Who::Reader, "Clusters of a project, by name")
                .gives::<List<ClusterRow>>(),
            post("/projects/{project}/clusters", clusters::create)
                .is("createCluster", Who::Member, "Create a cluster")
                .about(
                    "In a network of the project's, or with a private network made for it. Ranges that are not named are \
                     picked: the next free ones of 10.0.0.0/8. Nodes are reached by routes: VXLAN between them is not carried \
                     yet, and `path: vxlan` is refused until it is.",
                )
                .takes::<CreateCluster>()
                .makes::<One<ClusterRow>>()
                .idempotent()
                .refuses(&[
                    "value.not_a_label",
                    "value.not_one_of",
                    "subnet.not_usable",
                    "port.subnet_elsewhere",
                    "network.shadow_port_not_granted",
                    "network.no_room_for_shadow_port",
                    "cluster.name_taken",
                    "cluster.ranges_overlap",
                    "cluster.no_internet",
                    "cluster.no_services",
                    "cluster.no_external_network",
                    "cluster.external_exhausted",
                    "cluster.no_free_range",
                    "cluster.node_subnet",
                    "cluster.node_subnet_full",
                    "cluster.no_lab",
                    "quota.exceeded",
                ]),
            get("/projects/{project}/clusters/{id}", clusters::show)
                .is("showCluster", Who::Reader, "A cluster")
                .gives::<One<ClusterRow>>(),
            get("/clusters", clusters::of_all)
                .is(
                    "listAllClusters",
                    Who::Admin,
                    "Clusters of all projects, by project and name",
                )
                .about("For whoever provides their nodes.")
                .asks_for::<NodesFrom>("nodes_from", "Only those whose nodes come from there.")
                .gives::<List<ProjectCluster>>()
                .refuses(&["value.not_one_of"]),
            delete("/projects/{project}/clusters/{id}", clusters::delete)
                .is("deleteCluster", Who::Member, "Delete a cluster with its nodes, pods and addresses")
                .about(
                    "A private network goes too, unless others use it: then it stays as the project's own. The plan \
                     says which.",
                )
                .if_match(),
        ],
    )
}

fn nodes() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::NODES,
        [
            get("/projects/{project}/clusters/{id}/nodes", nodes::list)
                .is("listNodes", Who::Reader, "Nodes of a cluster, by name")
                .gives::<List<NodeRow>>(),
            post("/projects/{project}/clusters/{id}/nodes", nodes::create)
                .is(
                    "createNode",
                    Who::Member,
                    "Expect a node: its port, and the token by which it joins",
                )
                .about("Repeated with the same `Idempotency-Key`, it is the same node and a new token.")
                .takes::<CreateNode>()
                .makes::<JoinToken>()
                .idempotent()
                .refuses(&[
                    "value.not_a_label",
                    "node.name_taken",
                    "port.exhausted",
                    "quota.exceeded",
                    "agent.no_endpoint",
                ]),
            put("/projects/{project}/clusters/{id}/nodes/{node}", nodes::update)
                .is("changeNode", Who::Member, "Say that a node's host has another address now")
                .about("The other nodes' routes lead there from then on. Its agent keeps its identity and its blocks.")
                .takes::<ChangeNode>()
                .if_match()
                .refuses(&["port.address_outside", "port.address_taken"]),
            delete("/projects/{project}/clusters/{id}/nodes/{node}", nodes::delete)
                .is(
                    "deleteNode",
                    Who::Member,
                    "Remove a node: it is refused from that moment",
                )
                .if_match(),
            post(
                "/projects/{project}/clusters/{id}/nodes/{node}/join-tokens",
                nodes::node_token,
            )
            .is(
                "createNodeToken",
                Who::Member,
                "A one-time token for the host that is this node, or is to take its place",
            )
            .about("A host that was away for longer than its certificate lasts comes back with it as the node it was.")
            .may_take::<Nothing>()
            .makes::<JoinToken>()
            .refuses(&["agent.no_endpoint"]),
            post("/projects/{project}/clusters/{id}/join-tokens", nodes::join_token)
                .is(
                    "createJoinToken",
                    Who::Member,
                    "A one-time token for any host with an address of the node subnet",
                )
                .may_take::<Nothing>()
                .makes::<JoinToken>()
                .refuses(&["agent.no_endpoint"]),
            post("/projects/{project}/clusters/{id}/nodes/{node}/admit", nodes::admit)
                .is(
                    "admitNode",
                    Who::Admin,
                    "Let a node in that was found again, by the machine that it is",
                )
                .about(
                    "A node is found again after the control plane was put back to an older state. Of one that two machines \
                     have shown the identity of, it says that the other is off: the one that shows itself next is the node. Of \
                     any other it changes nothing.",
                )
                .may_take::<Nothing>()
                .refuses(&["port.address_taken"]),
            get(
                "/projects/{project}/clusters/{id}/quarantined-blocks",
                histories::quarantined_blocks,
            )
            .is(
                "listQuarantinedBlocks",
                Who::Reader,
                "Blocks that nobody is leased before their holder has let go, by address",
            )
            .gives::<List<QuarantinedBlockRow>>(),
            post(
                "/projects/{project}/clusters/{id}/quarantined-blocks/{block}/release",
                histories::release,
            )
            .is(
                "releaseBlock",
                Who::Member,
                "State that the machine that holds a block is off: the block is free",
            )
            .about("If it is on after all, two pods may get one address.")
            .takes::<ReleaseBlock>()
            .refuses(&["block.other_name"]),
        ],
    )
}

fn plans() -> impl Iterator<Item = Operation> {
    let plan = |route: Route, id, summary| {
        route
            .is(id, Who::Reader, summary)
            .about("Decided as the delete itself would be, on the newest revision; nothing is changed.")
            .gives::<DeletePlan>()
    };
    let networks = [plan(
        get("/projects/{project}/networks/{id}/delete-plan", plans::network),
        "planDeleteNetwork",
        "What deleting a network would do",
    )];
    let subnets = [plan(
        get("/projects/{project}/subnets/{id}/delete-plan", plans::subnet),
        "planDeleteSubnet",
        "What deleting a subnet would do",
    )];
    let ports = [plan(
        get("/projects/{project}/ports/{id}/delete-plan", plans::port),
        "planDeletePort",
        "What deleting a port would do",
    )];
    let clusters = [plan(
        get("/projects/{project}/clusters/{id}/delete-plan", plans::cluster),
        "planDeleteCluster",
        "What deleting a cluster would do",
    )];
    let nodes = [plan(
        get(
            "/projects/{project}/clusters/{id}/nodes/{node}/delete-plan",
            plans::node,
        ),
        "planDeleteNode",
        "What removing a node would do",
    )];
    chapter(Tag::NETWORKS, networks)
        .chain(chapter(Tag::SUBNETS, subnets))
        .chain(chapter(Tag::PORTS, ports))
        .chain(chapter(Tag::CLUSTERS, clusters))
        .chain(chapter(Tag::NODES, nodes))
}

fn epochs() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::SUPPORT,
        [get("/epochs", histories::epochs)
            .is(
                "listEpochs",
                Who::Support,
                "When the database was put back, as agents have shown, the newest first",
            )
            .about(
                "Each with what was found again by leases, the nodes that wait to be admitted, and blocks in dispute.",
            )
            .gives::<List<ToldEpoch>>()],
    )
}

/// A page of the audit.
fn audited(operation: Operation) -> Operation {
    operation
        .about(
            "The newest first; an entry is a command with all that it changed, at most 100 objects of it. `total` counts \
             the entries of the page. A page may hold fewer than `limit` and still have a `next`: then so far was looked.",
        )
        .asks(
            "object",
            json!({ "type": "string", "maxLength": 256 }),
            "The history of an object: its id; of a role: project, user and role with `/` between; of losses: cluster, node and what \
             was lost.",
        )
        .asks_for::<AuditKind>("kind", "Objects of this kind.")
        .asks_for::<AuditOp>("op", "What happened to them.")
        .asks(
            "who",
            json!({ "type": "string", "maxLength": 255 }),
            "Who: a user's name, a node's id, `system`, or `provider` for somebody of the provider's.",
        )
        .asks_for::<Through>("through", "Through what.")
        .asks("marker", whole(0, 0), "Where to go on: `next` of the page before.")
        .asks("limit", whole(0, 100), "Most entries of a page, 1 to 500.")
        .gives::<List<AuditEntry>>()
        .refuses(&["value.not_one_of", "value.not_an_id", "value.wrong_type", "store.unavailable"])
}

fn audit() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::AUDIT,
        [
            audited(get("/projects/{project}/audit", audit::of_project).is(
                "listAudit",
                Who::Reader,
                "Who did what in a project, when, through what",
            )),
            audited(
                get("/support/audit", audit::of_all)
                    .is("listAuditOfAll", Who::Support, "Who did what in every project")
                    .asks("project", one_or_all(), "Objects of this project alone; empty: of all."),
            ),
        ],
    )
}

fn events() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::EVENTS,
        [get("/events", events::stream)
            .is("streamEvents", Who::Reader, "What changes, as it changes (server-sent events)")
            .about(
                "Without a project: the changes of every project, for support and administrators, each with its `project`. \
                 Events are `change` (data: ChangeEvent), `progress` (data: ProgressEvent, at the start and every 5 s: \
                 how far the stream is) and `reset` (data: ProgressEvent: what was missed is gone, load anew). An event's \
                 id is its revision. A stream that breaks is resumed after the revision in `Last-Event-ID`, or else in \
                 `after`. It ends with the session, the role and the server.",
            )
            .asks_for::<ProjectId>("project", "The project; absent: all of them.")
            .asks("after", whole(0, 0), "The last revision that is known; absent: from now on.")
            .shows(Gives::Events)
            .refuses(&["value.wrong_type", "auth.forbidden"])],
    )
}

fn description() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::DESCRIPTION,
        [
            get("/openapi.json", description::openapi)
                .is(
                    "showDescription",
                    Who::Anybody,
                    "This description, for programs (OpenAPI 3.1)",
                )
                .shows(Gives::Document),
            get("/docs", description::docs)
                .is("readDescription", Who::Anybody, "This description, for people")
                .shows(Gives::Text("text/html")),
            get("/docs.css", description::style)
                .is("styleDescription", Who::Anybody, "What that page looks like")
                .shows(Gives::Text("text/css")),
        ],
    )
}
