//! Who may do what with an object: one rule, for what an API shows, for what it lets be asked, and for what the writer
//! decides.
//!
//! A [`Scope`] says where somebody asks from and how far that reaches; an [`Owned`] object says whose it is and who meets
//! it. [`Scope::access`] puts both together. What a caller may not even read is not found; what it may read but not
//! change is refused with the reason.

use portolan_shared::ids::ProjectId;
use portolan_shared::refusal::Refusal;

use crate::model::{Cluster, JoinToken, Network, Node, Port, Role, ShadowRequest, Subnet, hidden};

/// What may be done with an object; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing: to this caller it is not there.
    None,
    /// It may be read.
    Read,
    /// Others may be made in it or with it: ports in a network.
    Use,
    /// It may be changed and deleted.
    Write,
}

/// Who meets an object, besides its project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nobody.
    Own,
    /// Everybody reads it; only administrators change it or make anything in it, also in their own project.
    Provided,
    /// Everybody reads it and uses it; its project changes it.
    Shared,
    /// Not even its project: support and administrators alone.
    Hidden,
}

/// An object of a project's.
pub trait Owned {
    /// Whose it is.
    fn owner(&self) -> ProjectId;

    /// Who meets it besides.
    fn reach(&self) -> Reach;
}

/// Where somebody asks from, and how far that reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// The project that is asked in; `None`: none is.
    pub project: Option<ProjectId>,
    /// What may be done with that project's objects.
    inside: Access,
    /// What may be done with all others.
    elsewhere: Access,
}

impl Scope {
    /// The control plane itself, its jobs and its agents, which are held to their own nodes by each decision.
    pub const SYSTEM: Self = Self::nowhere(Access::Write);

    /// Accounts, sessions and kept answers: it reaches no project's objects. The API checks the caller's role before it asks.
    pub const IDENTITY: Self = Self::nowhere(Access::None);

    /// In no project, with this much in every one.
    pub const fn nowhere(everywhere: Access) -> Self {
        Self {
            project: None,
            inside: Access::None,
            elsewhere: everywhere,
        }
    }

    /// In a project, with this much there and that much in every other.
    pub const fn new(project: ProjectId, inside: Access, elsewhere: Access) -> Self {
        Self {
            project: Some(project),
            inside,
            elsewhere,
        }
    }

    /// A member of a project.
    pub const fn project(project: ProjectId) -> Self {
        Self::new(project, Access::Write, Access::None)
    }

    /// An administrator who asks in a project.
    pub const fn everywhere(project: ProjectId) -> Self {
        Self::new(project, Access::Write, Access::Write)
    }

    /// What may be done with an object.
    pub fn access(self, object: &impl Owned) -> Access {
        match object.reach() {
            Reach::Own => self.access_in(object.owner()),
            Reach::Provided => self.elsewhere.max(self.inside.min(Access::Read)),
            Reach::Shared => self.access_in(object.owner()).max(self.inside.min(Access::Use)),
            Reach::Hidden => self.elsewhere,
        }
    }

    /// What may be done with the ordinary objects of a project.
    pub fn access_in(self, project: ProjectId) -> Access {
        match self.project {
            Some(own) if own == project => self.inside.max(self.elsewhere),
            _ => self.elsewhere,
        }
    }

    /// Whether it may be read.
    pub fn reads(self, object: &impl Owned) -> bool {
        self.access(object) >= Access::Read
    }

    /// Whether every project's objects may be read, hidden ones too.
    pub fn reads_everything(self) -> bool {
        self.elsewhere >= Access::Read
    }

    /// Whether every project's objects may be changed.
    pub fn writes_everything(self) -> bool {
        self.elsewhere == Access::Write
    }
}

macro_rules! own {
    ($($kind:ty),*) => {
        $(impl Owned for $kind {
            fn owner(&self) -> ProjectId {
                self.meta.project
            }

            fn reach(&self) -> Reach {
                Reach::Own
            }
        })*
    };
}

own!(Subnet, Cluster, Node, JoinToken, ShadowRequest);

impl Owned for Network {
    fn owner(&self) -> ProjectId {
        self.meta.project
    }

    fn reach(&self) -> Reach {
        if self.external { Reach::Provided } else { Reach::Own }
    }
}

impl Owned for Port {
    fn owner(&self) -> ProjectId {
        self.meta.project
    }

    fn reach(&self) -> Reach {
        if hidden(self) { Reach::Hidden } else { Reach::Own }
    }
}

/// The refusal of what only a role may do: `action` goes on after "You may not".
pub fn needs(role: Role, action: impl Into<String>) -> Refusal {
    Refusal::NotAllowed {
        action: action.into(),
        needs: role.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(u8, Reach);

    impl Owned for Thing {
        fn owner(&self) -> ProjectId {
            id(self.0)
        }

        fn reach(&self) -> Reach {
            self.1
        }
    }

    const fn id(byte: u8) -> ProjectId {
        ProjectId::from_bytes([byte; 16])
    }

    /// A row a caller: what it may do with its own and with another's, each own, provided, shared and hidden.
    #[test]
    fn what_each_caller_may_do() {
        use Access::{None, Read, Use, Write};
        let mine = id(1);
        let callers = [
            (
                "reader",
                Scope::new(mine, Read, None),
                [Read, None, Read, Read, Read, Read, None, None],
            ),
            (
                "member",
                Scope::project(mine),
                [Write, None, Read, Read, Write, Use, None, None],
            ),
            ("support", Scope::new(mine, Read, Read), [Read; 8]),
            (
                "support who is a member here",
                Scope::new(mine, Write, Read),
                [Write, Read, Read, Read, Write, Use, Read, Read],
            ),
            ("administrator", Scope::everywhere(mine), [Write; 8]),
            ("control plane", Scope::SYSTEM, [Write; 8]),
            ("accounts", Scope::IDENTITY, [None; 8]),
        ];
        for (who, scope, may) in callers {
            let found = [Reach::Own, Reach::Provided, Reach::Shared, Reach::Hidden]
                .map(|reach| [scope.access(&Thing(1, reach)), scope.access(&Thing(2, reach))]);
            assert_eq!(found.as_flattened(), may, "{who}");
        }
    }
}
