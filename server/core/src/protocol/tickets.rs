//! One machine, one identity: tickets tell a machine from a copy of it.
//!
//! Pure. Every stream is given a new ticket and shows the newest that it has. Two machines with one state show the same
//! ticket once, and then one of them an older one.

use portolan_shared::tickets::{number, run, turn, was_given_for};

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
    // Given to who has shown the same as he who was given the newest: to this machine, which has lost the newest, or to a
    // copy. Of the two the one that comes first goes on, and the other has none that counts.
    let sibling = was_given_for(shown, known.shown);
    // Given in another history, to the machine that was the newest here: those given here since were not kept.
    let elsewhere = || turn(shown) > turn(known.shown) && !is_of_this_history(run(shown));
    // The answer that held the newest may have been lost.
    let before = shown == known.shown;
    if newest || before || sibling || known.open || elsewhere() {
        // A number is left out where it is not known who was here meanwhile: perhaps a copy, which has reported pods of its
        // own. A machine that misses one reports all of its pods.
        let step = if newest && shown != known.given { 2 } else { 1 };
        Shown::Machine(Tickets {
            given: number(turn(known.given.max(shown)) + step, shown, own),
            open: false,
            shown,
        })
    } else {
        Shown::Copy
    }
}

/// What is known where two replicas know this. They may have let in a machine that could not tell either of the other.
pub fn both(one: Tickets, other: Tickets) -> Tickets {
    let newer = one.max(other);
    // Who has shown a ticket that was given for another has come later, however many were given in vain for that.
    let later = |one: u64, other: u64| was_given_for(one, other).then_some(one);
    let shown = later(one.shown, other.shown).or_else(|| later(other.shown, one.shown));
    Tickets {
        shown: shown.unwrap_or(newer.shown),
        ..newer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All that is shown was given in the history of now.
    const HERE: fn(u16) -> bool = |_| true;

    /// The ticket of this turn, given for the one before it.
    fn nth(turn: u64, run: u16) -> u64 {
        match turn {
            0 => 0,
            turn => number(turn, number(turn - 1, 0, run), run),
        }
    }

    fn tickets(given: u64, shown: u64) -> Tickets {
        Tickets {
            given: number(given, nth(shown, 0), 0),
            open: false,
            shown: nth(shown, 0),
        }
    }

    fn machine(known: Tickets, shown: u64) -> Tickets {
        match look(known, shown, 0, HERE) {
            Shown::Machine(tickets) => tickets,
            Shown::Copy => panic!("{shown} of {known:?} is no copy"),
        }
    }

    #[test]
    fn a_machine_comes_back_with_its_newest_ticket_or_the_one_before() {
        let first = machine(Tickets::default(), 0);
        assert_eq!(first, tickets(1, 0));
        let again = machine(first, 0);
        assert_eq!(again, tickets(2, 0), "the answer with 1 was lost");
        let next = machine(again, again.given);
        assert_eq!((next.given, next.shown), (number(3, again.given, 0), again.given));
        assert_eq!(look(next, 0, 0, HERE), Shown::Copy);
        assert_eq!(
            look(next, first.given, 0, HERE),
            Shown::Copy,
            "given for the same, but the other has come"
        );
    }

    #[test]
    fn of_two_that_were_given_for_the_same_the_first_to_come_goes_on() {
        let (first, again) = (machine(Tickets::default(), 0), tickets(2, 0));
        let next = machine(again, first.given);
        assert_eq!(turn(next.given), 3);
        assert_eq!(look(next, again.given, 0, HERE), Shown::Copy);
    }

    #[test]
    fn what_the_control_plane_has_forgotten_is_taken_from_the_ticket() {
        let next = machine(tickets(3, 2), nth(9, 0));
        assert_eq!(
            (turn(next.given), next.shown),
            (11, nth(9, 0)),
            "and it is to report all"
        );
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
        let again = given(both(one, other), one.given, 3);
        assert_eq!(again.given, number(8, one.given, 3));
        assert_eq!(look(again, other.given, 9, HERE), Shown::Copy);
    }

    #[test]
    fn who_has_come_later_counts_however_many_were_given_in_vain() {
        // One replica has given 6, 7 and 8 for 5 in vain; the other has heard nothing of that, and the machine came twice.
        let (in_vain, known) = (tickets(8, 5), tickets(5, 4));
        let kept = machine(known, known.given);
        let kept = machine(kept, kept.given);
        let all = both(both(in_vain, tickets(6, 5)), kept);
        assert_eq!((all.given, all.shown), (in_vain.given, kept.shown));
        assert_eq!(turn(machine(all, kept.given).given), 9);
    }

    #[test]
    fn what_another_history_gave_is_good_if_what_was_given_here_since_was_lost() {
        // 5 was shown here often, as each answer was lost; another history gave 6, and 7 for it.
        let shown = nth(5, 3);
        let known = Tickets {
            given: number(9, shown, 3),
            open: false,
            shown,
        };
        let is_ours = |run| run == 3;
        assert_eq!(
            look(known, nth(7, 3), 3, is_ours),
            Shown::Copy,
            "given here, to somebody else"
        );
        assert_eq!(
            look(known, nth(4, 9), 3, is_ours),
            Shown::Copy,
            "given to a copy of long ago"
        );
        let Shown::Machine(next) = look(known, nth(7, 9), 3, is_ours) else {
            panic!("a machine is taken for a copy");
        };
        assert_eq!((turn(next.given), next.shown), (10, nth(7, 9)));
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
        let admitted = machine(known, nth(3, 0));
        assert_eq!(turn(admitted.given), 8);
        assert_eq!(look(admitted, known.given, 0, HERE), Shown::Copy);
        assert!(admitted > known && known > tickets(7, 6), "what is newer is greater");
    }

    proptest! {
        /// However often a store is put back, to whichever of the states that it had, a machine is never taken for a copy of
        /// itself, although answers are lost.
        #[test]
        fn a_machine_alone_is_itself_in_every_history(
            steps in prop::collection::vec((any::<bool>(), prop::option::of(any::<prop::sample::Index>())), 1..60),
        ) {
            let first = tickets(5, 4);
            let mut states = vec![(first, vec![0])];
            let (mut at, mut has, mut run) = (0, first.given, 0);
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
            let first = tickets(5, 4);
            let (mut stored, mut known) = (first, [first; 2]);
            let (mut has, mut kept, mut caught) = ([first.given; 2], [false, false], false);
            let mut was_blind = false;
            for (copy, lost, replica, blind) in steps {
                let (who, replica) = (usize::from(copy && !alone), usize::from(replica));
                let before = stored;
                stored = both(both(stored, known[0]), known[1]);
                was_blind = blind && !was_blind;
                let newest = both(known[replica], if was_blind { before } else { stored });
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
            // Both hold a ticket of their own: once one of them has come again, that of the other does not count.
            if kept[0] && kept[1] && !caught {
                let stored = both(both(stored, known[0]), known[1]);
                prop_assert_ne!(has[0], has[1]);
                for (one, other) in [(has[0], has[1]), (has[1], has[0])] {
                    if let Shown::Machine(next) = look(stored, one, 3, HERE) {
                        prop_assert_eq!(look(next, other, 3, HERE), Shown::Copy, "{:?} {:?}", stored, has);
                    }
                }
            }
        }
    }
}
