//! One machine, one identity: tickets tell a machine from a copy of it.
//!
//! Pure. Every stream is given a new ticket and shows the newest that it has. Two machines with one state show the same
//! ticket once, and then one of them an older one.

use crate::model::Tickets;

/// What a ticket that is shown says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It is the machine; what is known from now on, and its newest ticket is [`Tickets::given`].
    Machine(Tickets),
    /// There are two machines with this identity, or this one was put back to an older state.
    Copy,
}

/// Looks at the ticket that is shown; 0 stands for none.
pub fn look(known: Tickets, shown: u64) -> Shown {
    // A newer one than any that is known was given all the same: its proof says so. What was known of it was lost.
    let newest = shown >= known.given;
    // The answer that held the newest may have been lost.
    let before = shown == known.shown;
    if newest || before || known.open {
        // A number is left out where it is not known who was here meanwhile: perhaps a copy, which has reported pods of its
        // own. A machine that misses one reports all of its pods.
        let step = if shown > known.given { 2 } else { 1 };
        Shown::Machine(Tickets {
            given: known.given.max(shown) + step,
            open: false,
            shown,
        })
    } else {
        Shown::Copy
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tickets(given: u64, shown: u64) -> Tickets {
        Tickets {
            given,
            open: false,
            shown,
        }
    }

    fn machine(known: Tickets, shown: u64) -> Tickets {
        match look(known, shown) {
            Shown::Machine(tickets) => tickets,
            Shown::Copy => panic!("{shown} of {known:?} is no copy"),
        }
    }

    #[test]
    fn a_machine_comes_back_with_its_newest_ticket_or_the_one_before() {
        let first = machine(Tickets::default(), 0);
        assert_eq!(first, tickets(1, 0));
        let again = machine(first, 0);
        assert_eq!(again.given, 2, "the answer with 1 was lost; it is good for nothing now");
        assert_eq!(look(again, 1), Shown::Copy);
        let next = machine(again, 2);
        assert_eq!(next, tickets(3, 2));
        assert_eq!(look(next, 0), Shown::Copy);
    }

    #[test]
    fn what_the_control_plane_has_forgotten_is_taken_from_the_ticket() {
        let known = tickets(3, 2);
        assert_eq!(machine(known, 9), tickets(11, 9), "and it is to report all");
    }

    #[test]
    fn an_administrator_admits_whichever_comes_next_and_no_other() {
        let known = Tickets {
            open: true,
            ..tickets(7, 6)
        };
        let admitted = machine(known, 3);
        assert_eq!(admitted, tickets(8, 3));
        assert_eq!(look(admitted, 7), Shown::Copy);
        assert!(admitted > known && known > tickets(7, 6), "what is newer is greater");
    }

    proptest! {
        /// Whatever the order in which a machine and its copy come, and whichever answers are lost: once both have been
        /// let in and have kept what they were given, the next of one of them is told to be a copy; and a machine alone
        /// never is.
        #[test]
        fn two_never_both_go_on_and_one_alone_always_does(
            // Whether it is the copy that connects, and whether the answer is lost.
            steps in prop::collection::vec(any::<(bool, bool)>(), 1..40),
            alone in any::<bool>(),
        ) {
            let mut known = tickets(5, 4);
            let (mut has, mut kept, mut caught) = ([5, 5], [false, false], false);
            for (copy, lost) in steps {
                let who = usize::from(copy && !alone);
                match look(known, has[who]) {
                    Shown::Copy => caught = true,
                    Shown::Machine(tickets) => {
                        known = tickets;
                        if !lost {
                            (has[who], kept[who]) = (tickets.given, true);
                        }
                    }
                }
            }
            prop_assert!(!(alone && caught));
            // Both hold a ticket of their own: one of them is not the newest, nor the one before.
            if kept[0] && kept[1] && !caught {
                let good = has.iter().filter(|ticket| look(known, **ticket) != Shown::Copy).count();
                prop_assert!(good < 2, "{known:?} {has:?}");
            }
        }
    }
}
