//! Who may learn of a change: one answer for the events and for the audit.

use portolan_shared::v1::Side;

use crate::change::Change;
use crate::command::{Actor, Command, Request};
use crate::model::{Object, hidden};
use crate::view::View;

/// Who may learn of a change in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Everybody who may read in the project.
    Everyone,
    /// Support and administrators alone.
    Provider,
}

/// Whether who asked for these changes is the provider's and not the project's: support in what support
/// does, and else whoever has no role in the project whose objects changed.
pub fn by_provider(view: &View, request: &Request, changes: &[Change]) -> bool {
    let Actor::User(user) = request.actor else {
        return false;
    };
    if let Command::OnRequest { side, .. } = request.command {
        return side == Side::Support;
    }
    let own = |change: &Change| match &change.object {
        Object::Port(port) if hidden(port) => None,
        _ => change.project,
    };
    let project = changes.iter().find_map(own);
    project.is_some_and(|project| view.roles(user, project).is_empty())
}
