//! How much a project may have.

use crate::model::{PROVIDER_PROJECT, Project};

/// Most things of a project; the project `admin` has no limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Networks.
    pub networks: u64,
    /// Subnets.
    pub subnets: u64,
    /// Ports that are no pods'.
    pub ports: u64,
    /// Pods' ports.
    pub pods: u64,
    /// Clusters.
    pub clusters: u64,
    /// Idempotency keys that are remembered: each for 24 h.
    pub keys: u64,
}

impl Default for Quotas {
    /// Neutron's (`neutron/conf/quota.py`) for what it has; a pod costs no more than a map entry.
    fn default() -> Self {
        Self {
            networks: 100,
            subnets: 100,
            ports: 500,
            pods: 100_000,
            clusters: 100,
            keys: 10_000,
        }
    }
}

impl Quotas {
    /// A project's limits.
    pub fn of(self, project: &Project) -> Self {
        if project.name == PROVIDER_PROJECT {
            Self::NONE
        } else {
            self
        }
    }

    /// No limits, for benchmarks and tests.
    pub const NONE: Self = Self {
        networks: u64::MAX,
        subnets: u64::MAX,
        ports: u64::MAX,
        pods: u64::MAX,
        clusters: u64::MAX,
        keys: u64::MAX,
    };
}
