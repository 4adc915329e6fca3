//! Whose turn it is. After a start or a restore all agents come at once; what each of them is sent and claims is worked on
//! for so many at a time, and of those that wait the chosen ones go first.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portolan_shared::ids::ProjectId;
use tokio::sync::oneshot;

/// Streams that begin at a time: enough that nobody waits for the slowest agent, few enough that who comes first is done
/// first.
const AT_ONCE: usize = 64;

/// How long a turn lasts at most: an agent that says nothing does not keep others out.
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// The turns of an endpoint.
pub(super) struct Turns {
    /// Projects whose nodes go first.
    first: HashSet<ProjectId>,
    line: Mutex<Line>,
}

struct Line {
    free: usize,
    /// In which order they go: the chosen ones, then by when they came.
    waiting: BTreeMap<(bool, u64), oneshot::Sender<Turn>>,
    came: u64,
}

/// A turn; the next one's begins when this is dropped.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    /// Turns for which the nodes of these projects need not wait for those of others.
    pub(super) fn new(first: impl IntoIterator<Item = ProjectId>) -> Self {
        Self {
            first: first.into_iter().collect(),
            line: Mutex::new(Line {
                free: AT_ONCE,
                waiting: BTreeMap::new(),
                came: 0,
            }),
        }
    }

    /// Waits for a turn of a node of this project. Dropping the future leaves the line.
    pub(super) async fn take(self: &Arc<Self>, project: Option<ProjectId>) -> Turn {
        let called = {
            let mut line = self.line.lock();
            if line.free > 0 {
                line.free -= 1;
                return Turn(Some(Arc::clone(self)));
            }
            let chosen = project.is_some_and(|project| self.first.contains(&project));
            let (call, called) = oneshot::channel();
            line.came += 1;
            let place = (!chosen, line.came);
            line.waiting.insert(place, call);
            called
        };
        // The sender is in the line, which `self` keeps.
        called.await.unwrap_or(Turn(None))
    }

    fn pass_on(self: Arc<Self>) {
        loop {
            let next = {
                let mut line = self.line.lock();
                let next = line.waiting.pop_first();
                if next.is_none() {
                    line.free += 1;
                }
                next
            };
            let Some((_, call)) = next else { return };
            match call.send(Turn(Some(Arc::clone(&self)))) {
                Ok(()) => return,
                // That one has left the line.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const CHOSEN: ProjectId = ProjectId::from_bytes([1; 16]);
    const OTHER: ProjectId = ProjectId::from_bytes([2; 16]);

    #[test]
    fn chosen_ones_go_first_and_the_others_in_the_order_in_which_they_came() {
        let turns = Arc::new(Turns::new([CHOSEN]));
        let take = |project| turns.take(Some(project)).now_or_never();
        let mut begun: Vec<Turn> = (0..AT_ONCE).map(|_| take(OTHER).unwrap()).collect();
        let mut line = [OTHER, OTHER, CHOSEN, OTHER, CHOSEN].map(|project| Box::pin(turns.take(Some(project))));
        for waits in &mut line {
            assert!(waits.now_or_never().is_none());
        }
        let mut order = Vec::new();
        let mut turn = begun.pop();
        while order.len() < line.len() {
            drop(turn);
            let next = line.iter_mut().enumerate().find_map(|(at, waits)| {
                let called = (!order.contains(&at)).then(|| waits.now_or_never());
                called.flatten().map(|turn| (at, turn))
            });
            let (at, next) = next.expect("somebody is called");
            order.push(at);
            turn = Some(next);
        }
        assert_eq!(order, [2, 4, 0, 1, 3]);
        drop((turn, begun));
        assert_eq!(turns.line.lock().free, AT_ONCE);
    }

    #[test]
    fn who_leaves_the_line_keeps_nobody_out() {
        let turns = Arc::new(Turns::new([]));
        let mut begun: Vec<Turn> = (0..AT_ONCE).map(|_| turns.take(None).now_or_never().unwrap()).collect();
        let mut line = [(); 3].map(|()| Some(Box::pin(turns.take(None))));
        for waits in line.iter_mut().flatten() {
            assert!(waits.now_or_never().is_none());
        }
        // One leaves before it is called, one after.
        line[0] = None;
        begun.pop();
        line[1] = None;
        assert!(line[2].as_mut().unwrap().now_or_never().is_some());
    }
}
