//! Numbers of tickets, by which a machine is told from a copy of it.
//!
//! A number says three things. Its upper 32 bits: which ticket in turn it is. The next 16: upon which one it was given, by
//! that one's turn. The lower 16: which run of the control plane's writer has given it. So replicas that do not know of each
//! other yet give two numbers where they give the same turn; of a number that is not the newest it is seen whether it was
//! given for the same ticket as the newest, to a machine that lost the one or the other; and whether it was given in
//! another history of the store.

/// How many bits say the run, and how many upon which ticket.
const BITS: u32 = 16;

/// Which in turn the ticket of this number is; 0: none.
pub const fn turn(number: u64) -> u64 {
    number >> (2 * BITS)
}

/// The tag of the run that gave the ticket of this number.
pub const fn run(number: u64) -> u16 {
    number as u16
}

/// The number of the ticket with this place in turn, given to who has shown `shown`, by the run with this tag.
pub const fn number(turn: u64, shown: u64, run: u16) -> u64 {
    turn << (2 * BITS) | (self::turn(shown) & 0xffff) << BITS | run as u64
}

/// Whether the ticket `given` was given to who has shown `shown`.
pub const fn was_given_for(given: u64, shown: u64) -> bool {
    turn(given) > turn(shown) && (given >> BITS) & 0xffff == turn(shown) & 0xffff
}

/// Whether nobody else can have been given a ticket between these two.
pub const fn follows(shown: u64, given: u64) -> bool {
    turn(given) == turn(shown) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_its_turn_its_run_and_for_which_it_was_given() {
        let first = number(1, 0, 7);
        let (second, other) = (number(2, first, 7), number(2, first, 9));
        assert_eq!((turn(second), run(second)), (2, 7));
        assert!(was_given_for(first, 0) && was_given_for(second, first) && was_given_for(other, first));
        assert!(!was_given_for(second, 0) && !was_given_for(first, second) && second != other);
        assert!(follows(first, second) && !follows(first, number(3, first, 7)));
    }
}
