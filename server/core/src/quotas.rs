//! How much a project may have.

use crate::model::{PROVIDER_PROJECT, Project};

macro_rules! quotas {
    ($($(#[$doc:meta])* $counted:ident $field:ident $word:literal $default:literal;)*) => {
        /// What of a project a quota counts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Counted {
            $($(#[$doc])* $counted,)*
        }

        impl Counted {
            /// The word that refusals use: `network`.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$counted => $word,)* }
            }
        }

        /// Most things of a project; the project `admin` has no limits.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Quotas {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Default for Quotas {
            /// Neutron's (`neutron/conf/quota.py`) for what it has; a pod costs no more than a map entry.
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Quotas {
            /// No limits, for benchmarks and tests.
            pub const NONE: Self = Self { $($field: u64::MAX,)* };

            /// Most of this.
            pub const fn limit(self, counted: Counted) -> u64 {
                match counted { $(Counted::$counted => self.$field,)* }
            }
        }
    };
}

quotas! {
    /// Networks.
    Networks networks "network" 100;
    /// Subnets.
    Subnets subnets "subnet" 100;
    /// Ports that are neither pods' nor hidden.
    Ports ports "port" 500;
    /// Pods' ports.
    Pods pods "pod" 100_000;
    /// Clusters.
    Clusters clusters "cluster" 100;
    /// Idempotency keys that are remembered: each for 24 h.
    Keys keys "idempotency_key" 10_000;
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
}
