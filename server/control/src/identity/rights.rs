//! What roles allow: `admin` everything everywhere, `support` reads everywhere, `member` writes and
//! `reader` reads in its project.

use portolan_core::access::{Access, Scope, needs};
use portolan_core::model::{Role, Session};
use portolan_core::view::View;
use portolan_shared::ids::{ProjectId, UserId};
use portolan_shared::refusal::Refusal;

/// What a caller may do in the project it calls in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights {
    /// Everything, in every project.
    pub admin: bool,
    /// Reads every project.
    pub support: bool,
    /// Changes what is in the project.
    pub write: bool,
    /// Reads what is in the project.
    pub read: bool,
}

impl Rights {
    /// From roles that count where they are asked for.
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Self {
        let mut rights = Self::default();
        for role in roles {
            match role {
                Role::Admin => rights.admin = true,
                Role::Support => rights.support = true,
                Role::Member => rights.write = true,
                Role::Reader => {}
            }
            rights.read = true;
        }
        rights.write |= rights.admin;
        rights
    }

    /// Whether other projects' objects are seen too.
    pub fn sees_everything(self) -> bool {
        self.elsewhere() >= Access::Read
    }

    /// How far a call in `project` reaches.
    pub fn scope(self, project: ProjectId) -> Scope {
        let inside = match self {
            Self { write: true, .. } => Access::Write,
            Self { read: true, .. } => Access::Read,
            Self { .. } => Access::None,
        };
        Scope::new(project, inside, self.elsewhere())
    }

    /// What may be done with objects of all other projects.
    pub fn elsewhere(self) -> Access {
        match self {
            Self { admin: true, .. } => Access::Write,
            Self { support: true, .. } => Access::Read,
            Self { .. } => Access::None,
        }
    }

    /// Refuses callers who may not change what is in the project.
    ///
    /// # Errors
    /// If the caller only reads.
    pub fn to_write(self, action: &str) -> Result<(), Refusal> {
        if self.write {
            Ok(())
        } else {
            Err(needs(Role::Member, action))
        }
    }

    /// Refuses everybody but support and administrators.
    ///
    /// # Errors
    /// If the caller is neither.
    pub fn to_support(self, action: &str) -> Result<(), Refusal> {
        if self.sees_everything() {
            Ok(())
        } else {
            Err(needs(Role::Support, action))
        }
    }

    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// If the caller is no administrator.
    pub fn to_administer(self, action: &str) -> Result<(), Refusal> {
        if self.admin {
            Ok(())
        } else {
            Err(needs(Role::Admin, action))
        }
    }
}

/// What a session's or token's holder may do in `project`.
///
/// A token counts where it is scoped to: its roles there, wherever the call goes (an admin's token
/// reaches every project). A console's session has every role of its user: those in `project`, and
/// `admin` and `support` from anywhere.
pub fn rights(view: &View, session: &Session, project: ProjectId) -> Rights {
    match session.project {
        Some(scope) => {
            let rights = Rights::of(view.roles(session.user, scope));
            if scope == project || rights.sees_everything() {
                Rights {
                    write: rights.write && (scope == project || rights.admin),
                    ..rights
                }
            } else {
                Rights::default()
            }
        }
        None if session.csrf.is_some() => {
            let everywhere = everywhere(view, session.user);
            Rights::of(view.roles(session.user, project).into_iter().chain(everywhere))
        }
        None => Rights::default(),
    }
}

/// What a session's or token's holder may do in every project: as support or as an administrator, by
/// roles that the user has anywhere (console) or where the token is scoped to.
pub fn overall(view: &View, session: &Session) -> Rights {
    let roles = match session.project {
        Some(scope) => view.roles(session.user, scope),
        None if session.csrf.is_some() => everywhere(view, session.user),
        None => Vec::new(),
    };
    Rights::of(
        roles
            .into_iter()
            .filter(|role| matches!(role, Role::Admin | Role::Support)),
    )
}

/// Roles of a user that count in every project.
pub fn everywhere(view: &View, user: UserId) -> Vec<Role> {
    let mut roles: Vec<Role> = view
        .assignments_of(user)
        .map(|a| a.role)
        .filter(|r| matches!(r, Role::Admin | Role::Support))
        .collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_core::model::{Assignment, Object};

    fn project(n: u8) -> ProjectId {
        ProjectId::from_bytes([n; 16])
    }

    fn view(roles: &[(u8, Role)]) -> View {
        let mut view = View::default();
        for (n, role) in roles {
            view.put(Object::from(Assignment {
                user: user(),
                project: project(*n),
                role: *role,
            }));
        }
        view
    }

    fn user() -> UserId {
        UserId::from_bytes([9; 16])
    }

    fn session(scope: Option<u8>, console: bool) -> Session {
        Session {
            hash: [0; 32],
            user: user(),
            project: scope.map(project),
            csrf: console.then(String::new),
            issued_at: 0,
            expires_at: 0,
        }
    }

    /// `a` admin, `s` support, `w` write, `r` read.
    fn word(rights: Rights) -> String {
        let letters = [
            (rights.admin, 'a'),
            (rights.support, 's'),
            (rights.write, 'w'),
            (rights.read, 'r'),
        ];
        letters
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, letter)| letter)
            .collect()
    }

    #[test]
    fn what_roles_allow_everywhere() {
        let check = |roles: &[(u8, Role)], scope: Option<u8>, console: bool, expected: &str| {
            let found = word(overall(&view(roles), &session(scope, console)));
            assert_eq!(found, expected, "{roles:?} scope {scope:?} console {console}");
        };
        use Role::{Admin, Member, Reader, Support};
        check(&[(1, Support)], Some(1), false, "sr");
        check(&[(1, Support)], None, true, "sr");
        check(&[(1, Support), (2, Member)], Some(2), false, "");
        check(&[(1, Admin), (1, Member)], Some(1), false, "awr");
        check(&[(1, Admin), (2, Support)], None, true, "aswr");
        check(&[(1, Admin)], None, false, "");
        check(&[(1, Member), (2, Reader)], None, true, "");
        check(&[(1, Member)], Some(1), false, "");
    }

    #[test]
    fn what_roles_allow_where() {
        let check = |roles: &[(u8, Role)], scope: Option<u8>, console: bool, at: u8, expected: &str| {
            let found = word(rights(&view(roles), &session(scope, console), project(at)));
            assert_eq!(found, expected, "{roles:?} scope {scope:?} console {console} at {at}");
        };
        use Role::{Admin, Member, Reader, Support};
        check(&[(1, Member)], Some(1), false, 1, "wr");
        check(&[(1, Member)], Some(1), false, 2, "");
        check(&[(1, Member), (2, Member)], Some(1), false, 2, "");
        check(&[(1, Member), (2, Member)], None, true, 2, "wr");
        check(&[(1, Reader)], Some(1), false, 1, "r");
        check(&[(1, Admin)], Some(1), false, 2, "awr");
        check(&[(1, Admin), (2, Member)], Some(2), false, 1, "");
        check(&[(1, Admin), (2, Member)], None, true, 3, "awr");
        check(&[(1, Support)], Some(1), false, 2, "sr");
        check(&[(1, Support), (1, Member)], Some(1), false, 2, "sr");
        check(&[(1, Support), (1, Member)], Some(1), false, 1, "swr");
        check(&[(1, Support), (2, Member)], None, true, 2, "swr");
        check(&[(1, Member)], None, false, 1, "");
        check(&[], Some(1), false, 1, "");
    }
}
