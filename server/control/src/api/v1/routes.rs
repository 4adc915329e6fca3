//! The one table of what `/portolan/v1` does. The router is made of it, so nothing that is not here
//! can be called; the OpenAPI document and its page are made of it; a test calls every line of it
//! with every role.

use portolan_shared::ids::ProjectId;
use portolan_shared::v1::{
    AddressSpace, ChangeSession, ClusterRow, CreateCluster, CreateNode, JoinToken, List, LogIn, NetworkRow, NodeRow,
    One, PortRow, Session, SubnetRow, WhyStep,
};
use serde_json::{Value, json};

use super::super::route::{delete, get, post, put};
use super::operation::{Gives, Nothing, Operation, Tag, Who, chapter};
use super::{clusters, events, networks, nodes, ports, session, subnets};

/// Every operation, chapter by chapter.
pub fn operations() -> Vec<Operation> {
    let mut all = Vec::with_capacity(64);
    all.extend(session());
    all.extend(project());
    all.extend(networks());
    all.extend(clusters());
    all.extend(nodes());
    all.extend(events());
    all
}

fn session() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::Session,
        [
            post("/session", session::create)
                .is("logIn", Who::Anybody, "Log in to the console")
                .about(
                    "The session's secret comes in the cookie `portolan_session`, which scripts cannot read. Everything \
                     that writes with that cookie must send the answer's `csrf` in `X-CSRF-Token`.",
                )
                .takes::<LogIn>()
                .gives::<Session>()
                .refuses(&["auth.failed", "auth.busy"]),
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
        Tag::Project,
        [get("/projects/{project}/address-space", networks::address_space)
            .is(
                "showAddressSpace",
                Who::Reader,
                "Everything that uses addresses in a project",
            )
            .about("For checking overlap while a range is typed.")
            .gives::<AddressSpace>()],
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

/// A whole number that is not negative.
fn whole(min: u64, default: u64) -> Value {
    json!({ "type": "integer", "minimum": min, "maximum": u64::from(u32::MAX), "default": default })
}

fn networks() -> impl Iterator<Item = Operation> {
    let networks = [
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
    ];
    let subnets = [
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
    ];
    let ports = [
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
    ];
    chapter(Tag::Networks, networks)
        .chain(chapter(Tag::Subnets, subnets))
        .chain(chapter(Tag::Ports, ports))
}

fn clusters() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::Clusters,
        [
            get("/projects/{project}/clusters", clusters::list)
                .is("listClusters", Who::Reader, "Clusters of a project, by name")
                .gives::<List<ClusterRow>>(),
            post("/projects/{project}/clusters", clusters::create)
                .is("createCluster", Who::Member, "Create a cluster")
                .about(
                    "In a network of the project's, or with a private network made for it. Ranges that are not named are \
                     picked: the next free ones of 10.0.0.0/8.",
                )
                .takes::<CreateCluster>()
                .makes::<One<ClusterRow>>()
                .idempotent()
                .refuses(&["value.not_a_label", "cluster.name_taken", "cluster.ranges_overlap", "quota.exceeded"]),
            get("/projects/{project}/clusters/{id}", clusters::show)
                .is("showCluster", Who::Reader, "A cluster")
                .gives::<One<ClusterRow>>(),
            delete("/projects/{project}/clusters/{id}", clusters::delete)
                .is("deleteCluster", Who::Member, "Delete a cluster with its nodes, pods and addresses")
                .if_match()
                .refuses(&["cluster.in_use", "network.in_use"]),
        ],
    )
}

fn nodes() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::Nodes,
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

fn events() -> impl Iterator<Item = Operation> {
    chapter(
        Tag::Events,
        [get("/events", events::stream)
            .is("streamEvents", Who::Reader, "What changes in a project, as it changes (server-sent events)")
            .about(
                "Events are `change` (data: ChangeEvent), `progress` (data: ProgressEvent, at the start and every 5 s: \
                 how far the stream is) and `reset` (data: ProgressEvent: what was missed is gone, load anew). An event's \
                 id is its revision. A stream that breaks is resumed after the revision in `Last-Event-ID`, or else in \
                 `after`. It ends with the session, the role and the server.",
            )
            .asks_for::<ProjectId>("project", "The project.")
            .always()
            .asks("after", whole(0, 0), "The last revision that is known; absent: from now on.")
            .shows(Gives::Events)
            .refuses(&["value.required", "value.wrong_type"])],
    )
}
