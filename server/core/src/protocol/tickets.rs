//! One machine, one identity: tickets tell a machine from a copy of it.
//!
//! Pure. Every stream is given a new ticket and shows the newest that it has. Two machines with one state show the same
//! ticket once, and then one of them an older one.

use portolan_shared::tickets::{number, run, turn};

use crate::model::Tickets;

/// What a ticket that is shown says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It is the machine; what is known from now on, and its newest ticket is [`Tickets::given`].
    Machine(Tickets),
    /// There are two machines with this identity, or this one was put back to an older state.
    Copy,
}

/// Looks at the ticket that is shown to the run with the tag `own`; 0 stands for none. `is_of_this_history` says whether a run
/// with a tag is one of the store's history.
pub fn look(known: Tickets, shown: u64, own: u16, is_of_this_history: impl FnOnce(u16) -> bool) -> Shown {
    // A newer one than any that is known was given all the same: its proof says so. What was known of it was lost. One of
    // the same turn was given by another replica at the same time: to a copy, or to this machine, which has lost the other.
    let newest = turn(shown) >= turn(known.given);
    // Given in another history, to the machine that was the newest here: those given here since were not kept.
    let elsewhere = !newest && turn(shown) > turn(known.shown) && !is_of_this_history(run(shown));
    // The answer that held the newest may have been lost.
    let before = shown == known.shown;
    if newest || before || elsewhere || known.open {
        // A number is left out where it is not known who was here meanwhile: perhaps a copy, which has reported pods of its
        // own. A machine that misses one reports all of its pods.
        let step = if newest && shown != known.given { 2 } else { 1 };
        Shown::Machine(Tickets {
            given: number(turn(known.given.max(shown)) + step, own),
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

    /// All that is shown was given in the history of now.
    const HERE: fn(u16) -> bool = |_| true;

    fn tickets(given: u64, shown: u64) -> Tickets {
        Tickets {
            given: number(given, 0),
            open: false,
            shown: number(shown, 0),
        }
    }

    fn machine(known: Tickets, shown: u64) -> Tickets {
        match look(known, number(shown, 0), 0, HERE) {
            Shown::Machine(tickets) => tickets,
            Shown::Copy => panic!("{shown} of {known:?} is no copy"),
        }
    }

    #[test]
    fn a_machine_comes_back_with_its_newest_ticket_or_the_one_before() {
        let first = machine(Tickets::default(), 0);
        assert_eq!(first, tickets(1, 0));
        let again = machine(first, 0);
        assert_eq!(
            again,
            tickets(2, 0),
            "the answer with 1 was lost; it is good for nothing now"
        );
        assert_eq!(look(again, number(1, 0), 0, HERE), Shown::Copy);
        let next = machine(again, 2);
        assert_eq!(next, tickets(3, 2));
        assert_eq!(look(next, 0, 0, HERE), Shown::Copy);
    }

    #[test]
    fn what_the_control_plane_has_forgotten_is_taken_from_the_ticket() {
        let known = tickets(3, 2);
        assert_eq!(machine(known, 9), tickets(11, 9), "and it is to report all");
    }

    #[test]
    fn two_replicas_that_give_the_same_turn_give_two_tickets_and_one_of_two_machines_is_found_out() {
        let known = tickets(5, 4);
        let given = |known, shown, replica| match look(known, shown, replica, HERE) {
            Shown::Machine(tickets) => tickets,
            Shown::Copy => panic!("{shown} of {known:?} is no copy"),
        };
        let (one, other) = (given(known, known.given, 3), given(known, known.given, 9));
        assert!(other.given > one.given && turn(other.given) == turn(one.given));
        // The newer one is known everywhere. The machine with the other comes again, and is to report all.
        let again = given(other.max(one), one.given, 3);
        assert_eq!(again.given, number(8, 3));
        assert_eq!(look(again, other.given, 9, HERE), Shown::Copy);
    }

    #[test]
    fn what_another_history_gave_is_good_if_what_was_given_here_since_was_lost() {
        // 5 was shown here twice, as the answer with 6 was lost; another history gave 6 as well.
        let known = Tickets {
            given: number(7, 3),
            open: false,
            shown: number(5, 3),
        };
        let is_ours = |run| run == 3;
        assert_eq!(
            look(known, number(6, 3), 3, is_ours),
            Shown::Copy,
            "given here, to somebody else"
        );
        assert_eq!(
            look(known, number(4, 9), 3, is_ours),
            Shown::Copy,
            "given to a copy of long ago"
        );
        let Shown::Machine(next) = look(known, number(6, 9), 3, is_ours) else {
            panic!("a machine is taken for a copy");
        };
        assert_eq!((next.given, next.shown), (number(8, 3), number(6, 9)));
        assert_eq!(
            look(next, known.given, 3, is_ours),
            Shown::Copy,
            "if there were two, one is found out"
        );
    }

    #[test]
    fn an_administrator_admits_whichever_comes_next_and_no_other() {
        let known = Tickets {
            open: true,
            ..tickets(7, 6)
        };
        let admitted = machine(known, 3);
        assert_eq!(admitted, tickets(8, 3));
        assert_eq!(look(admitted, number(7, 0), 0, HERE), Shown::Copy);
        assert!(admitted > known && known > tickets(7, 6), "what is newer is greater");
    }

    proptest! {
        /// However often a store is put back, to whichever of the states that it had, a machine is never taken for a copy of
        /// itself, although answers are lost.
        #[test]
        fn a_machine_alone_is_itself_in_every_history(
            steps in prop::collection::vec((any::<bool>(), prop::option::of(any::<prop::sample::Index>())), 1..60),
        ) {
            let mut states = vec![(tickets(5, 4), vec![0])];
            let (mut at, mut has, mut run) = (0, number(5, 0), 0);
            for (lost, put_back) in steps {
                if let Some(to) = put_back {
                    at = to.index(states.len());
                    run += 1;
                }
                let (known, mut runs) = states[at].clone();
                let shown = look(known, has, run, |tag| runs.contains(&tag));
                let Shown::Machine(next) = shown else {
                    return Err(TestCaseError::fail(format!("{has} of {known:?} is no copy")));
                };
                if !runs.contains(&run) {
                    runs.push(run);
                }
                states.push((next, runs));
                at = states.len() - 1;
                if !lost {
                    has = next.given;
                }
            }
        }

        /// Whatever the order in which a machine and its copy come to two replicas, one of which may not know yet what the
        /// other has just given, and whichever answers are lost: once both have been let in and have kept what they were
        /// given, the next of one of them is told to be a copy; and a machine alone never is.
        #[test]
        fn two_never_both_go_on_and_one_alone_always_does(
            // Whether it is the copy that connects, whether the answer is lost, to which replica, and whether that does not
            // know of the last one yet.
            steps in prop::collection::vec(any::<(bool, bool, bool, bool)>(), 1..40),
            alone in any::<bool>(),
        ) {
            let (mut stored, mut known) = (tickets(5, 4), [tickets(5, 4); 2]);
            let (mut has, mut kept, mut caught) = ([number(5, 0); 2], [false, false], false);
            let mut was_blind = false;
            for (copy, lost, replica, blind) in steps {
                let (who, replica) = (usize::from(copy && !alone), usize::from(replica));
                let before = stored;
                stored = stored.max(known[0]).max(known[1]);
                was_blind = blind && !was_blind;
                let newest = known[replica].max(if was_blind { before } else { stored });
                match look(newest, has[who], [3, 9][replica], HERE) {
                    Shown::Copy => caught = true,
                    Shown::Machine(tickets) => {
                        known[replica] = tickets;
                        if !lost {
                            (has[who], kept[who]) = (tickets.given, true);
                        }
                    }
                }
            }
            prop_assert!(!(alone && caught));
            // Both hold a ticket of their own: one is not the newest, nor the one before, once the other has come again.
            if kept[0] && kept[1] && !caught {
                let stored = stored.max(known[0]).max(known[1]);
                prop_assert_ne!(has[0], has[1]);
                let good = has.iter().filter(|ticket| look(stored, **ticket, 3, HERE) != Shown::Copy).count();
                let siblings = turn(has[0]) == turn(has[1]);
                prop_assert!(good < 2 || siblings, "{stored:?} {has:?}");
            }
        }
    }
}
