//! Looking at all orders of a world.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use stateright::{Checker, Expectation, HasDiscoveries, Model as _};

use crate::check;
use crate::protocol::Protocol;

/// What was found in all orders of a world.
#[derive(Debug)]
pub struct Outcome {
    /// Different worlds.
    pub worlds: usize,
    /// Ways to them.
    pub ways: usize,
    /// The longest way to one that has no shorter.
    pub depth: usize,
    /// The first promise that is broken, and the way there.
    pub broken: Option<String>,
    /// What happened in some.
    pub seen: BTreeSet<&'static str>,
    /// Whether all were looked at.
    pub whole: bool,
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} worlds on {} ways, {} deep", self.worlds, self.ways, self.depth)?;
        match &self.broken {
            Some(broken) => write!(f, ": {broken}"),
            None => Ok(()),
        }
    }
}

/// Looks at all, on one thread, up to the first promise that is broken: by the shortest way.
pub fn look(protocol: Protocol) -> Outcome {
    outcome(
        &protocol
            .checker()
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join(),
    )
}

/// The same where worlds are too many to keep those that are not looked at yet: the way to a broken promise may be long.
pub fn look_deep(protocol: Protocol) -> Outcome {
    outcome(
        &protocol
            .checker()
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_dfs()
            .join(),
    )
}

fn outcome(checker: &impl Checker<Protocol>) -> Outcome {
    let discoveries = checker.discoveries();
    let promises = check::properties()
        .into_iter()
        .filter(|property| property.expectation == Expectation::Always);
    let promises: BTreeSet<&str> = promises.map(|property| property.name).collect();
    let broken = discoveries.iter().find(|(name, _)| promises.contains(*name));
    Outcome {
        worlds: checker.unique_state_count(),
        ways: checker.state_count(),
        depth: checker.max_depth(),
        whole: broken.is_none() && checker.is_done(),
        broken: broken.map(|(name, way)| format!("{name}: not after {:?}", way.clone().into_actions())),
        seen: discoveries
            .into_keys()
            .filter(|name| !promises.contains(name))
            .collect(),
    }
}
