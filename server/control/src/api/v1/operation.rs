//! An operation of `/portolan/v1`: a route with everything that the document says of it.
//!
//! The handlers decide what is answered; tests hold the two together. Builders are named so that
//! [`mod@super::routes`] reads as a table.

use axum::http::Method;
use portolan_shared::ids::{BlockId, ClusterId, NetworkId, NodeId, PortId, ProjectId, ShadowRequestId, SubnetId};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::api::route::Route;

/// Makes a type's schema, or a reference to it.
pub type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Anybody, logged in or not.
    Anybody,
    /// Whoever has a session of the console.
    Session,
    /// Who has any role in the project, and `support` and `admin` of any.
    Reader,
    /// Who has the role `member` in the project, and `admin` of any.
    Member,
    /// Who has the role `support` or `admin` anywhere.
    Support,
    /// Who has the role `admin` anywhere.
    Admin,
}

impl Who {
    /// The sentence of the document.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Anybody => "Anybody may call this.",
            Self::Session => "Whoever has a session of the console may call this.",
            Self::Reader => {
                "Any role in the project is enough; support and administrators may call this for every project."
            }
            Self::Member => "Needs the role member in the project, or an administrator.",
            Self::Support => "Needs the role support or admin.",
            Self::Admin => "Needs the role admin.",
        }
    }
}

/// What an operation is about: a chapter of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
}

impl Tag {
    /// Log-in.
    pub const SESSION: Self = Self {
        name: "Session",
        about: "The console's log-in. Programs log in at `/v3/auth/tokens` (OpenStack Identity) and send the token.",
    };
    /// What a project uses and may use.
    pub const PROJECT: Self = Self {
        name: "Project",
        about: "What a project uses and may use.",
    };
    /// Networks.
    pub const NETWORKS: Self = Self {
        name: "Networks",
        about: "Networks as the console shows them, with how full they are. They are made, changed and deleted at \
                 `/v2.0/networks` (OpenStack Networking).",
    };
    /// Subnets.
    pub const SUBNETS: Self = Self {
        name: "Subnets",
        about: "Subnets as the console shows them. They are made, changed and deleted at `/v2.0/subnets`.",
    };
    /// Ports.
    pub const PORTS: Self = Self {
        name: "Ports",
        about: "Ports as the console shows them, and why one is not active. They are made, changed and deleted at \
                 `/v2.0/ports`.",
    };
    /// Clusters.
    pub const CLUSTERS: Self = Self {
        name: "Clusters",
        about: "Kubernetes clusters: their network, their address ranges, their way to the outside.",
    };
    /// Nodes and join tokens.
    pub const NODES: Self = Self {
        name: "Nodes",
        about: "Nodes of a cluster, and the one-time tokens by which hosts join.",
    };
    /// The customer's side of requests.
    pub const SHADOWPORT: Self = Self {
        name: "Shadowport",
        about: "A project asks support for clusters without an external IP (shadowport), and follows the request.",
    };
    /// Support's side of requests.
    pub const SUPPORT: Self = Self {
        name: "Support",
        about: "Support's queue of requests, the projects behind them, and when the database was put back.",
    };
    /// Who did what.
    pub const AUDIT: Self = Self {
        name: "Audit",
        about: "Who did what, when, through what, before and after.",
    };
    /// What changes, as it changes.
    pub const EVENTS: Self = Self {
        name: "Events",
        about: "What changes, as it changes.",
    };
    /// The description itself.
    pub const DESCRIPTION: Self = Self {
        name: "Description",
        about: "This description, for programs and for people.",
    };
}

/// A parameter of the query.
pub struct Query {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it may be.
    pub form: Form,
}

/// What a parameter may be.
pub enum Form {
    /// What a type is on the wire.
    Of(MakeSchema),
    /// This schema.
    Inline(Value),
}

/// What a good answer holds.
#[derive(Clone, Copy)]
pub enum Gives {
    /// JSON of a type.
    Json(MakeSchema),
    /// Nothing.
    Nothing,
    /// Server-sent events.
    Events,
    /// The document itself.
    Document,
    /// A text of this type, for people.
    Text(&'static str),
}

/// The body of what needs none: an empty object.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Nothing {}

/// An operation.
pub struct Operation {
    /// Where and by what it is answered.
    pub route: Route,
    /// Its name in clients.
    pub id: &'static str,
    /// Its chapter.
    pub tag: Tag,
    /// Who may call it.
    pub who: Who,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else there is to say.
    pub about: &'static str,
    /// Parameters of the query.
    pub query: Vec<Query>,
    /// Type of the request's body, and whether there must be one.
    pub body: Option<(MakeSchema, bool)>,
    /// Whether it honours `If-Match`.
    pub if_match: bool,
    /// Whether it honours `Idempotency-Key`.
    pub idempotent: bool,
    /// Status of a good answer.
    pub status: u16,
    /// What that holds.
    pub gives: Gives,
    /// Codes of refusals worth naming.
    pub refuses: &'static [&'static str],
}

impl Route {
    /// The operation at this route. Until more is said, it answers 204 and nothing.
    pub fn is(self, id: &'static str, who: Who, summary: &'static str) -> Operation {
        Operation {
            route: self,
            id,
            tag: Tag::DESCRIPTION,
            who,
            summary,
            about: "",
            query: Vec::new(),
            body: None,
            if_match: false,
            idempotent: false,
            status: 204,
            gives: Gives::Nothing,
            refuses: &[],
        }
    }
}

impl Operation {
    /// What else there is to say of it.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Answers 200 and JSON of this type.
    #[must_use]
    pub fn gives<T: JsonSchema>(mut self) -> Self {
        (self.status, self.gives) = (200, Gives::Json(SchemaGenerator::subschema_for::<T>));
        self
    }

    /// Answers 201 and JSON of this type.
    #[must_use]
    pub fn makes<T: JsonSchema>(mut self) -> Self {
        (self.status, self.gives) = (201, Gives::Json(SchemaGenerator::subschema_for::<T>));
        self
    }

    /// Answers 200 and something else.
    #[must_use]
    pub fn shows(mut self, what: Gives) -> Self {
        (self.status, self.gives) = (200, what);
        self
    }

    /// Takes a body of this type.
    #[must_use]
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some((SchemaGenerator::subschema_for::<T>, true));
        self
    }

    /// Takes a body of this type, or none.
    #[must_use]
    pub fn may_take<T: JsonSchema>(mut self) -> Self {
        self.body = Some((SchemaGenerator::subschema_for::<T>, false));
        self
    }

    /// Takes a parameter of the query.
    #[must_use]
    pub fn asks(mut self, name: &'static str, schema: Value, about: &'static str) -> Self {
        let (required, form) = (false, Form::Inline(schema));
        self.query.push(Query {
            name,
            about,
            required,
            form,
        });
        self
    }

    /// Takes a parameter of the query that is of this type.
    #[must_use]
    pub fn asks_for<T: JsonSchema>(mut self, name: &'static str, about: &'static str) -> Self {
        let (required, form) = (false, Form::Of(SchemaGenerator::subschema_for::<T>));
        self.query.push(Query {
            name,
            about,
            required,
            form,
        });
        self
    }

    /// The last parameter of the query must be there.
    #[must_use]
    pub fn always(mut self) -> Self {
        if let Some(last) = self.query.last_mut() {
            last.required = true;
        }
        self
    }

    /// Honours `If-Match`.
    #[must_use]
    pub fn if_match(mut self) -> Self {
        self.if_match = true;
        self
    }

    /// Honours `Idempotency-Key`.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Refuses with these codes, beside what goes without saying (log-in, rights, the body's form,
    /// things that are not there).
    #[must_use]
    pub fn refuses(mut self, codes: &'static [&'static str]) -> Self {
        self.refuses = codes;
        self
    }

    /// Whether it changes nothing.
    pub fn reads(&self) -> bool {
        self.route.method == Method::GET
    }

    /// The parameters of its path, with what they name and their schema.
    pub fn path_parameters(&self) -> impl Iterator<Item = (&'static str, &'static str, MakeSchema)> {
        let segments: Vec<&'static str> = self.route.path.split('/').collect();
        let found: Vec<_> = segments
            .windows(2)
            .filter_map(|pair| {
                let name = pair[1].strip_prefix('{')?.strip_suffix('}')?;
                let (about, schema) = parameter(pair[0])?;
                Some((name, about, schema))
            })
            .collect();
        found.into_iter()
    }
}

/// What the parameter after a segment of a path names.
fn parameter(segment: &str) -> Option<(&'static str, MakeSchema)> {
    Some(match segment {
        "projects" => ("The project.", SchemaGenerator::subschema_for::<ProjectId>),
        "networks" => ("The network.", SchemaGenerator::subschema_for::<NetworkId>),
        "subnets" => ("The subnet.", SchemaGenerator::subschema_for::<SubnetId>),
        "ports" => ("The port.", SchemaGenerator::subschema_for::<PortId>),
        "clusters" => ("The cluster.", SchemaGenerator::subschema_for::<ClusterId>),
        "nodes" => ("The node.", SchemaGenerator::subschema_for::<NodeId>),
        "quarantined-blocks" => ("The block.", SchemaGenerator::subschema_for::<BlockId>),
        "shadowport" | "requests" => ("The request.", SchemaGenerator::subschema_for::<ShadowRequestId>),
        _ => return None,
    })
}

/// Puts operations into a chapter.
pub fn chapter<const N: usize>(tag: Tag, operations: [Operation; N]) -> impl Iterator<Item = Operation> {
    operations
        .into_iter()
        .map(move |operation| Operation { tag, ..operation })
}
