//! When a sandbox counts as gone. Pure.

use std::collections::BTreeSet;

use portolan_shared::ids::PortId;

/// Allocations whose sandbox was not there when last looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspects(BTreeSet<PortId>);

impl Suspects {
    /// Takes in an observation of everything alive, as (allocation, gone). Returns the allocations to free: those gone
    /// now and the last time. A single look may fall between the runtime's removing and making a mount.
    pub(super) fn observe(&mut self, observed: &[(PortId, bool)]) -> BTreeSet<PortId> {
        let gone: BTreeSet<PortId> = observed.iter().filter(|(_, gone)| *gone).map(|(id, _)| *id).collect();
        let twice = self.0.intersection(&gone).copied().collect();
        self.0 = gone;
        twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twice_in_a_row_counts() {
        let id = |n| PortId::from_bytes([n; 16]);
        let mut suspects = Suspects::default();
        let none = BTreeSet::new();
        assert_eq!(suspects.observe(&[(id(1), true), (id(2), false)]), none);
        assert_eq!(suspects.observe(&[(id(1), false), (id(2), true)]), none);
        assert_eq!(
            suspects.observe(&[(id(1), true), (id(2), true)]),
            BTreeSet::from([id(2)])
        );
        assert_eq!(suspects.observe(&[]), none);
    }
}
