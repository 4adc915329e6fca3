//! What an agent needs that has a state already.

use crate::model::Revision;

/// What an agent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Has {
    /// It speaks version 1 of the protocol, which names no run.
    pub older: bool,
    /// Nothing, or a state of another store.
    pub nothing: bool,
    /// The revision of its state.
    pub revision: Revision,
    /// Whether the control plane has told it that revision.
    pub told: bool,
}

/// What a stream begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// The agent has the state as it is.
    Current,
    /// It has an earlier one: changes after that revision.
    Changes(Revision),
    /// It has none to go on from.
    Snapshot,
    /// It has one of another history of this store. `proven`: the control plane has told it that one.
    OtherHistory {
        /// Whether the control plane knows again what it has told.
        proven: bool,
    },
}

/// What an agent needs that has this. `held` says whether the history of now has its point, `current` whether its state has
/// the digest of its cluster's, and `changed` is the commit that last changed that state.
pub fn resume(has: Has, held: bool, current: bool, changed: Revision) -> Resume {
    match has {
        Has { nothing: true, .. } => Resume::Snapshot,
        // It names no run: only what it has in itself says that it is of this history.
        Has { older: true, .. } if current => Resume::Current,
        Has { older: true, .. } => Resume::Snapshot,
        Has { told: proven, .. } if !held => Resume::OtherHistory { proven },
        _ if current => Resume::Current,
        // No commit has changed the state since, but the digests differ: the agent's copy is wrong.
        Has { revision, .. } if revision >= changed => Resume::Snapshot,
        Has { revision, .. } => Resume::Changes(revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_needs_by_what_it_has() {
        let has = |revision, told| Has {
            older: false,
            nothing: false,
            revision,
            told,
        };
        let nothing = Has {
            nothing: true,
            ..has(50, true)
        };
        let older = Has {
            older: true,
            ..has(10, false)
        };
        let other = |proven| Resume::OtherHistory { proven };
        let cases = [
            ("nothing, or of another store", nothing, false, true, Resume::Snapshot),
            ("current", has(90, true), true, true, Resume::Current),
            (
                "current again after changes",
                has(10, true),
                true,
                true,
                Resume::Current,
            ),
            ("behind", has(49, true), true, false, Resume::Changes(49)),
            (
                "not behind, but different",
                has(50, true),
                true,
                false,
                Resume::Snapshot,
            ),
            ("of another history", has(49, true), false, false, other(true)),
            (
                "of another history, the same state",
                has(49, true),
                false,
                true,
                other(true),
            ),
            (
                "of another history, as it says",
                has(49, false),
                false,
                true,
                other(false),
            ),
            ("older and current", older, false, true, Resume::Current),
            ("older and behind", older, true, false, Resume::Snapshot),
        ];
        for (name, has, held, current, expected) in cases {
            assert_eq!(resume(has, held, current, 50), expected, "{name}");
        }
    }
}
