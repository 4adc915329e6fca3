//! The worlds that are looked at: each with some of what may happen, so that all of its orders can be.

use crate::protocol::Size;
use crate::world::Left;

/// A world by name.
pub type Named = (&'static str, Size);

const NOTHING: Left = Left {
    joins: 0,
    leases: 0,
    pods: 0,
    ends: 0,
    returns: 0,
    breaks: 0,
    removals: 0,
    admissions: 0,
    restores: 0,
    restarts: 0,
    clones: 0,
    offs: 0,
};

const PAIR: Size = Size {
    servers: 1,
    nodes: 2,
    hosts: 0,
    blocks: 4,
    in_flight: 1,
    left: NOTHING,
};

const TRIO: Size = Size {
    servers: 2,
    nodes: 3,
    hosts: 0,
    blocks: 4,
    in_flight: 1,
    left: NOTHING,
};

/// Those that end within a minute, unoptimised.
pub const SMALL: &[Named] = &[
    (
        "a database is put back after a lease, under two control planes, and a connection breaks",
        Size {
            servers: 2,
            left: Left {
                restores: 1,
                leases: 1,
                breaks: 1,
                ..NOTHING
            },
            ..PAIR
        },
    ),
    (
        "it is put back twice",
        Size {
            left: Left {
                restores: 2,
                leases: 1,
                ..NOTHING
            },
            ..PAIR
        },
    ),
    (
        "it is put back to when another had a block that was given back since",
        Size {
            blocks: 2,
            left: Left {
                restores: 1,
                leases: 1,
                ends: 1,
                returns: 1,
                ..NOTHING
            },
            ..PAIR
        },
    ),
    (
        "a node that the copy lacks is found again, admitted or removed",
        Size {
            nodes: 1,
            hosts: 1,
            blocks: 2,
            left: Left {
                restores: 1,
                joins: 2,
                removals: 1,
                admissions: 1,
                ..NOTHING
            },
            ..PAIR
        },
    ),
    (
        "two lease blocks, one is removed, the database is put back",
        Size {
            left: Left {
                restores: 1,
                leases: 2,
                removals: 1,
                ..NOTHING
            },
            ..PAIR
        },
    ),
    (
        "a machine is copied",
        Size {
            servers: 2,
            nodes: 1,
            blocks: 2,
            left: Left {
                clones: 1,
                leases: 1,
                breaks: 1,
                ..NOTHING
            },
            ..PAIR
        },
    ),
];

/// The full size: two control planes, three nodes, four blocks.
pub const FULL: &[Named] = &[
    (
        "a database is put back after a lease",
        Size {
            left: Left {
                restores: 1,
                leases: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
    (
        "a third joins, and the database is put back",
        Size {
            nodes: 2,
            hosts: 1,
            left: Left {
                restores: 1,
                joins: 1,
                admissions: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
    (
        "a machine is copied",
        Size {
            left: Left {
                clones: 1,
                leases: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
    (
        "a third joins, a block is leased, and the database is put back",
        Size {
            nodes: 2,
            hosts: 1,
            left: Left {
                restores: 1,
                joins: 1,
                leases: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
    (
        "a block is leased, a node removed, and the database is put back",
        Size {
            left: Left {
                restores: 1,
                leases: 1,
                removals: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
    (
        "a node that the copy lacks is found again, admitted, removed, and joins again",
        Size {
            nodes: 2,
            hosts: 1,
            left: Left {
                restores: 1,
                joins: 2,
                removals: 1,
                admissions: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
    (
        "a database is put back after a lease, and a connection breaks",
        Size {
            left: Left {
                restores: 1,
                leases: 1,
                breaks: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
    (
        "it is put back to when another had a block that was given back since",
        Size {
            left: Left {
                restores: 1,
                leases: 1,
                ends: 1,
                returns: 1,
                ..NOTHING
            },
            ..TRIO
        },
    ),
];
