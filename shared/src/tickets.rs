//! Numbers of tickets, by which a machine is told from a copy of it.
//!
//! A number says which ticket in turn it is, in its upper 48 bits, and in its lower 16 which run of the control plane's writer
//! has given it. Two replicas that do not know of each other yet may both give the next in turn: these are two numbers, so
//! that each machine has one of its own. And of a number it is known whether it was given in another history of the store.

/// How many bits say which run.
const RUN_BITS: u32 = 16;

/// Which in turn the ticket of this number is; 0: none.
pub const fn turn(number: u64) -> u64 {
    number >> RUN_BITS
}

/// The tag of the run that gave the ticket of this number.
pub const fn run(number: u64) -> u16 {
    number as u16
}

/// The number of the ticket with this place in turn, by the run with this tag.
pub const fn number(turn: u64, run: u16) -> u64 {
    turn << RUN_BITS | run as u64
}

/// Whether nobody else can have been given a ticket between these two.
pub const fn follows(shown: u64, given: u64) -> bool {
    turn(given) == turn(shown) + 1
}
