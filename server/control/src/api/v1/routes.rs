//! The one table of what `/portolan/v1` does. The router is made of it, so nothing that is not here
//! can be called; the OpenAPI document and its page are made of it; a test calls every line of it
//! with every role.

use portolan_shared::ids::ProjectId;
use portolan_shared::v1::{
    AddressSpace, AuditEntry, AuditKind, AuditOp, ChangeSession, ClusterRow, CreateCluster, CreateNode, DeletePlan,
    FileRequest, GrantRequest, JoinToken, List, LogIn, NetworkRow, NodeRow, NodesFrom, One, PortRow, PostMessage,
    ProjectCluster, ProjectRow, QueueRow, Quota, Session, ShadowRequest, ShadowportPage, SubnetRow, SupportRequest,
    Through, Verdict, WhyStep,
};
use serde_json::{Value, json};

use super::super::resources::RESOURCES;
use super::super::route::{Route, delete, get, post, put};
use super::operation::{Gives, Nothing, Operation, Tag, Who, chapter};
use super::{
    audit, clusters, description, events, networks, nodes, plans, ports, quotas, session, shadowport, subnets, support,
};

/// Every operation, chapter by chapter.
pub fn operations() -> Vec<Operation> {
    let mut all = Vec::with_capacity(64);
    all.extend(session());
    all.extend(project());
    all.extend(RESOURCES.iter().flat_map(|resource| (resource.operations)()));
    all.extend(clusters());
    all.extend(nodes());
    all.extend(plans());
    all.extend(shadowport());
    all.extend(support());
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
        ],
    )
}

fn shadowport() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::SHADOWPORT,
        [
            get("/projects/{project}/shadowport", shadowport::list)
                .is(
                    "showShadowport",
                    Who::Reader,
                    "A project's requests, the newest first, and whether a grant holds",
                )
                .gives::<ShadowportPage>(),
            post("/projects/{project}/shadowport", shadowport::create)
                .is(
                    "fileRequest",
                    Who::Member,
                    "Ask support for clusters without an external IP",
                )
                .about("A project has at most one open request.")
                .takes::<FileRequest>()
                .makes::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "value.out_of_range",
                    "request.open",
                    "request.granted_already",
                ]),
            get("/projects/{project}/shadowport/{id}", shadowport::show)
                .is("showRequest", Who::Reader, "A request with its thread")
                .gives::<One<ShadowRequest>>(),
            post("/projects/{project}/shadowport/{id}/messages", shadowport::message)
                .is("postMessage", Who::Member, "Write to support; also after a decision")
                .takes::<PostMessage>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                    "request.full",
                ]),
            post("/projects/{project}/shadowport/{id}/withdraw", shadowport::withdraw)
                .is(
                    "withdrawRequest",
                    Who::Member,
                    "Take a request back that is not decided yet",
                )
                .may_take::<Nothing>()
                .gives::<One<ShadowRequest>>()
                .refuses(&["request.decided"]),
        ],
    )
}

fn support() -> impl Iterator<Item = Operation> {
    let word = || json!({ "type": "string" });
    chapter(
        Tag::SUPPORT,
        [
            get("/support/requests", support::queue)
                .is("listRequests", Who::Support, "The queue: requests of all projects")
                .about("Open ones come oldest first, all others newest first; 500 at most, then `next`.")
                .asks(
                    "state",
                    json!({
                        "type": "string",
                        "enum": ["open", "all", "new", "in_review", "granted", "declined", "withdrawn"],
                        "default": "open",
                    }),
                    "States: all that wait for a decision, all there are, or one.",
                )
                .asks("taker", word(), "Who has taken it: `me`, `none`, or a user's name.")
                .asks("project", one_or_all(), "Of this project alone; empty: of all.")
                .asks(
                    "q",
                    word(),
                    "Part of a project's name or id, of a purpose, of who asked, or of the request's id.",
                )
                .asks(
                    "marker",
                    json!({ "type": "string" }),
                    "Where to go on: `next` of the page before.",
                )
                .gives::<List<QueueRow>>()
                .refuses(&["value.not_one_of", "value.not_an_id"]),
            get("/support/requests/{id}", support::show)
                .is(
                    "showRequestToSupport",
                    Who::Support,
                    "A request with its thread, internal notes too, and its project's things",
                )
                .gives::<SupportRequest>(),
            post("/support/requests/{id}/take", support::take)
                .is("takeRequest", Who::Support, "Take a request, also from a colleague")
                .may_take::<Nothing>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&["request.decided"]),
            post("/support/requests/{id}/messages", support::message)
                .is(
                    "postSupportMessage",
                    Who::Support,
                    "Write to the customer, or an internal note that customers never get",
                )
                .takes::<PostMessage>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                    "request.full",
                ]),
            post("/support/requests/{id}/ask", support::ask)
                .is(
                    "askCustomer",
                    Who::Support,
                    "Ask the customer; the request waits for the answer",
                )
                .about("Takes the request if nobody has. A question is no internal note.")
                .takes::<PostMessage>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "value.not_one_of",
                    "request.decided",
                    "request.full",
                ]),
            post("/support/requests/{id}/grant", support::grant)
                .is(
                    "grantRequest",
                    Who::Support,
                    "Grant it, until a moment or until it is revoked",
                )
                .about("Takes the request if nobody has. Who decides second changes nothing.")
                .may_take::<GrantRequest>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.not_a_time",
                    "value.in_the_past",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                ]),
            post("/support/requests/{id}/decline", support::decline)
                .is(
                    "declineRequest",
                    Who::Support,
                    "Decline it, with a message for the customer",
                )
                .takes::<Verdict>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.decided",
                ]),
            post("/support/requests/{id}/revoke", support::revoke)
                .is("revokeGrant", Who::Support, "End a grant; what was made by it goes on")
                .takes::<Verdict>()
                .gives::<One<ShadowRequest>>()
                .idempotent()
                .refuses(&[
                    "value.too_short",
                    "value.too_long",
                    "value.control_character",
                    "request.not_granted",
                ]),
            get("/support/projects", support::projects)
                .is(
                    "findProjects",
                    Who::Support,
                    "Projects by part of their name or id, at most 50",
                )
                .asks("q", word(), "The part; absent: all.")
                .gives::<List<ProjectRow>>(),
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
            "The history of an object: its id; of a role: project, user and role with `/` between.",
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
