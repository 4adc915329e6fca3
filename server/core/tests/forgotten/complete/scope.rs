// A made-up kind, an address scope, and what it says of itself. `facts!` says those that it is given.

// A fact that is left out may be the only one that needs an import.
#[allow(unused_imports)]
use portolan_core::{
    audience::Audience,
    change::Op,
    event::Event,
    fields::Fields,
    model::{Born, Clusters, Column, Kind, Revision, Type, Value},
    quotas::Counted,
    tables::Table,
};
#[allow(unused_imports)]
use portolan_shared::ids::{ClusterId, NetworkId, ProjectId};
#[allow(unused_imports)]
use portolan_shared::v1::AuditKind;

struct Scope {
    id: NetworkId,
    project: ProjectId,
    name: String,
}

macro_rules! facts {
    ($($fact:ident)*) => {
        $(fact!($fact);)*
    };
}

macro_rules! fact {
    (WORD) => {
        const WORD: &'static str = "Address scope";
    };
    (Id) => {
        type Id = NetworkId;
    };
    (Table) => {
        type Table = Table<Self, ()>;
    };
    (COLUMNS) => {
        const COLUMNS: &'static [Column<Self>] = &[
            Column {
                name: "public_id",
                type_: Type::Bytes,
                value: |o| Value::Bytes(o.id.as_bytes().to_vec()),
            },
            Column {
                name: "name",
                type_: Type::Text,
                value: |o| Value::Text(o.name.clone()),
            },
        ];
    };
    (AUDIT) => {
        const AUDIT: Option<AuditKind> = None;
    };
    (label) => {
        fn label(&self) -> String {
            self.name.clone()
        }
    };
    (fields) => {
        fn fields(&self, _: Audience) -> Fields {
            Fields::default()
        }
    };
    (event) => {
        fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
            None
        }
    };
    (FOR_AGENTS) => {
        const FOR_AGENTS: bool = false;
    };
    (BORN) => {
        const BORN: Option<Born> = None;
    };
    (id) => {
        fn id(&self) -> NetworkId {
            self.id
        }
    };
    (project) => {
        fn project(&self) -> Option<ProjectId> {
            Some(self.project)
        }
    };
    (cluster) => {
        fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
            None
        }
    };
    (audience) => {
        fn audience(&self, _: Op, _: Revision) -> Audience {
            Audience::Everyone
        }
    };
    (audited) => {
        fn audited(&self) -> bool {
            true
        }
    };
    (counted) => {
        fn counted(&self) -> Option<(ProjectId, Counted)> {
            Some((self.project, Counted::Networks))
        }
    };
    (unique_name) => {
        fn unique_name(&self) -> Option<&str> {
            Some(&self.name)
        }
    };
    (bytes) => {
        fn bytes(&self) -> usize {
            self.name.len()
        }
    };
}

fn main() {}
