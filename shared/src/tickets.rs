//! Numbers of tickets, by which a machine is told from a copy of it.
//!
//! A number says which ticket in turn it is, in its upper 48 bits, and in its lower 16 which replica of the control plane has
//! given it. Two replicas that do not know of each other yet may both give the next in turn: these are two numbers, so that
//! each machine has one of its own.

/// How many bits say which replica.
const REPLICA_BITS: u32 = 16;

/// Which in turn the ticket of this number is; 0: none.
pub const fn turn(number: u64) -> u64 {
    number >> REPLICA_BITS
}

/// The number of the ticket with this place in turn, by this replica.
pub const fn number(turn: u64, replica: u16) -> u64 {
    turn << REPLICA_BITS | replica as u64
}

/// Whether nobody else can have been given a ticket between these two.
pub const fn follows(shown: u64, given: u64) -> bool {
    turn(given) == turn(shown) + 1
}
