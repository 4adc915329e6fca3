//! Looking at all orders of a world.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use stateright::{Checker as _, HasDiscoveries, Model as _, Property};

use crate::check;
use crate::model::Protocol;

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

/// Looks at all, on one thread, up to the first promise that is broken.
pub fn look(protocol: Protocol) -> Outcome {
    let checker = protocol
        .checker()
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let discoveries = checker.discoveries();
    let is_promise = |name: &str| {
        check::properties().iter().any(|property: &Property<Protocol>| {
            property.name == name && property.expectation == stateright::Expectation::Always
        })
    };
    let broken = discoveries.iter().find(|(name, _)| is_promise(name));
    Outcome {
        worlds: checker.unique_state_count(),
        ways: checker.state_count(),
        depth: checker.max_depth(),
        whole: broken.is_none() && checker.is_done(),
        broken: broken.map(|(name, way)| format!("{name}: not after {:?}", way.clone().into_actions())),
        seen: discoveries.into_keys().filter(|name| !is_promise(name)).collect(),
    }
}
