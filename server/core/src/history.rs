//! Which history of the store a revision counts in.
//!
//! A revision alone says nothing: a store that was put back from an older copy, or a standby that took over without the
//! newest commits, counts on from the older number, and gives the same numbers to other commits. So each run of a writer
//! (an [`Incarnation`]) is written down with the first revision it committed. A [`Point`] names both; a history holds a
//! point or does not, and who shows one that it does not hold proves that there was another history.

use std::fmt::{self, Display};

use crate::model::Revision;

/// A run of a writer, from its start (or its connecting anew to the store) to its end: 16 random bytes. All zeros stands
/// for the runs before incarnations were written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// What the numbers of tickets say of it: its first two bytes.
    pub const fn tag(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A revision of one history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// The run that committed it, or that began last when another run, of the same history, did.
    pub incarnation: Incarnation,
    /// The revision.
    pub revision: Revision,
}

/// Revisions from `first` on, up to the next span's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The run that began it.
    pub incarnation: Incarnation,
    /// The first revision that it committed.
    pub first: Revision,
}

/// The runs of a store's writers, each with the first revision it committed, ascending. Several replicas write in turn:
/// a span ends where another run has begun, not where its own run has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(Vec<Span>);

impl History {
    /// Spans as they are stored; sorted here.
    pub fn new(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.first);
        Self(spans)
    }

    /// The run in whose span a revision is.
    pub fn at(&self, revision: Revision) -> Incarnation {
        let after = self.0.partition_point(|span| span.first <= revision);
        after
            .checked_sub(1)
            .map_or_else(Incarnation::default, |at| self.0[at].incarnation)
    }

    /// The run that began last.
    pub fn newest(&self) -> Incarnation {
        self.0.last().map(|span| span.incarnation).unwrap_or_default()
    }

    /// A run begins, with `first` as the first revision it commits.
    pub fn begin(&mut self, incarnation: Incarnation, first: Revision) {
        self.0.push(Span { incarnation, first });
    }

    /// The last revision of a run's span, if the history has it. `head` is the newest revision of all.
    fn end(&self, incarnation: Incarnation, head: Revision) -> Option<Revision> {
        let next = if incarnation == Incarnation::default() {
            0
        } else {
            1 + self.0.iter().position(|span| span.incarnation == incarnation)?
        };
        Some(self.0.get(next).map_or(head, |span| span.first.saturating_sub(1)))
    }

    /// Whether a run with this tag is one of it. Cost: linear.
    pub fn has_run(&self, tag: u16) -> bool {
        self.0.iter().any(|span| span.incarnation.tag() == tag)
    }

    /// Whether it holds a point. `head` is its newest revision.
    pub fn holds(&self, point: Point, head: Revision) -> bool {
        self.at(point.revision) == point.incarnation && self.end(point.incarnation, head) >= Some(point.revision)
    }

    /// The newest spans, at most `most`, ascending.
    pub fn newest_spans(&self, most: usize) -> &[Span] {
        &self.0[self.0.len().saturating_sub(most)..]
    }

    /// The last revision that it has in common with a history of which `spans` are known, and which goes up to `head`
    /// there. `None` if no run of theirs is one of its own. `own_head` is its newest revision.
    pub fn fork(&self, own_head: Revision, spans: &[Span], head: Revision) -> Option<Revision> {
        let other = Self::new(spans.to_vec());
        let common = other.0.iter().rev().find_map(|span| {
            let own = self.end(span.incarnation, own_head)?;
            let theirs = other.end(span.incarnation, head)?;
            Some(own.min(theirs))
        });
        common.or_else(|| {
            // Both begin with runs that were not written down.
            let first =
                |spans: &[Span], head: Revision| spans.first().map_or(head, |span| span.first.saturating_sub(1));
            let unnamed = first(&self.0, own_head).min(first(&other.0, head));
            (unnamed > 0 && self.at(unnamed) == Incarnation::default()).then_some(unnamed)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(n: u8) -> Incarnation {
        Incarnation::from_bytes([n; 16])
    }

    fn history(spans: &[(u8, Revision)]) -> History {
        History::new(
            spans
                .iter()
                .map(|&(n, first)| Span {
                    incarnation: run(n),
                    first,
                })
                .collect(),
        )
    }

    fn point(n: u8, revision: Revision) -> Point {
        Point {
            incarnation: run(n),
            revision,
        }
    }

    #[test]
    fn a_point_is_held_within_its_span_alone() {
        let history = history(&[(1, 1), (2, 27)]);
        let cases = [
            (point(1, 1), true),
            (point(1, 26), true),
            (point(1, 27), false),
            (point(1, 90), false),
            (point(2, 27), true),
            (point(2, 40), true),
            (point(2, 41), false),
            (point(2, 26), false),
            (point(3, 10), false),
            (point(0, 10), false),
        ];
        for (point, held) in cases {
            assert_eq!(history.holds(point, 40), held, "{point:?}");
        }
    }

    #[test]
    fn what_is_older_than_incarnations_is_of_the_run_without_a_name() {
        let history = history(&[(1, 51)]);
        assert!(history.holds(point(0, 0), 60));
        assert!(history.holds(point(0, 50), 60));
        assert!(!history.holds(point(0, 51), 60));
        assert!(History::default().holds(point(0, 7), 7));
        assert!(!History::default().holds(point(0, 8), 7));
    }

    #[test]
    fn the_fork_is_where_two_histories_part() {
        let now = history(&[(1, 1), (3, 27)]);
        let lost = |spans: &[(u8, Revision)], head| now.fork(40, history(spans).newest_spans(9), head);
        assert_eq!(lost(&[(1, 1)], 90), Some(26), "a run went on elsewhere");
        assert_eq!(lost(&[(1, 1), (2, 20)], 90), Some(19), "another began");
        assert_eq!(lost(&[(1, 1), (2, 50)], 90), Some(26));
        assert_eq!(lost(&[(2, 50)], 90), None, "nothing in common is known");
        assert_eq!(
            history(&[(3, 27)]).fork(40, &[], 90),
            Some(26),
            "from before incarnations"
        );
    }

    proptest! {
        /// Whatever two histories do after a common beginning: each holds its own points, the fork is where they part, and
        /// no point after the fork is held by the other.
        #[test]
        fn two_branches_share_what_is_before_the_fork(
            common in 1_u64..40,
            runs in prop::collection::vec((1_u64..10, any::<bool>()), 1..12),
        ) {
            let (mut ours, mut theirs) = (history(&[(1, 1)]), history(&[(1, 1)]));
            let (mut own_head, mut their_head) = (common, common);
            for (n, (length, our_turn)) in (10_u8..).zip(runs) {
                let (history, head) = if our_turn { (&mut ours, &mut own_head) } else { (&mut theirs, &mut their_head) };
                history.begin(run(n), *head + 1);
                *head += length;
            }
            for revision in 0..=own_head {
                let point = Point { incarnation: ours.at(revision), revision };
                prop_assert!(ours.holds(point, own_head));
                prop_assert_eq!(theirs.holds(point, their_head), revision <= common);
            }
            prop_assert_eq!(ours.fork(own_head, theirs.newest_spans(64), their_head), Some(common));
        }
    }
}
