//! The agent's side of a stream, as its session does it, by the agent's own decisions.

use portolan_agent::desired::{Arriving, Received, Rejected, State};
use portolan_wire::agent;

use crate::shared::Shared;
use crate::world::{Begin, Told};

/// What an agent holds of a stream and of the state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) desired: Shared<State>,
    pub(crate) arriving: Shared<Arriving>,
    /// It has to claim before anything else, or has.
    pub(crate) claiming: bool,
    /// What it claims now.
    pub(crate) claim: Option<Shared<Vec<agent::Claim>>>,
}

/// Takes part of what is told; the agent's values are opened up and shared again at the end.
struct Taking {
    desired: State,
    arriving: Arriving,
    claiming: bool,
    claim: Option<Vec<agent::Claim>>,
}

impl Taking {
    fn received(&mut self, received: Received) {
        match received {
            Received::Nothing => {}
            Received::State(state) => (self.desired, self.claiming) = (*state, false),
            Received::Claim(claim) => self.claim = Some(claim),
        }
    }

    fn change(&mut self, change: agent::Change) -> Result<(), Rejected> {
        match self.arriving.change(change)? {
            Ok(received) => self.received(received),
            Err(change) => drop(self.desired.change(change)?),
        }
        Ok(())
    }

    fn progress(&mut self, mark: agent::Progress, first: bool) {
        match self.arriving.progress(mark.head, mark.position.clone()) {
            Some(received) => self.received(received),
            None if mark.head < self.desired.revision() => {}
            None => {
                if first {
                    self.desired.name_history(self.arriving.history().to_vec());
                }
                self.desired.progress(mark.head, mark.position);
            }
        }
    }

    fn done(self) -> Session {
        Session {
            desired: Shared::new(self.desired),
            arriving: Shared::new(self.arriving),
            claiming: self.claiming,
            claim: self.claim.map(Shared::new),
        }
    }
}

impl Session {
    /// A stream begins.
    pub(crate) fn begin(desired: &State, begin: &Begin) -> Result<Self, Rejected> {
        let mut taking = Taking {
            desired: desired.clone(),
            arriving: Arriving::new(&begin.welcome)?,
            claiming: begin.welcome.other_history,
            claim: None,
        };
        if let Some(part) = begin.snapshot.clone() {
            let received = taking.arriving.part(part, desired)?;
            taking.received(received);
        }
        taking.progress(begin.mark.clone(), true);
        Ok(taking.done())
    }

    fn take(&self) -> Taking {
        Taking {
            desired: (*self.desired).clone(),
            arriving: (*self.arriving).clone(),
            claiming: self.claiming,
            claim: None,
        }
    }

    /// Something has changed. With `decided`, the claim is answered before.
    pub(crate) fn told(&self, decided: Option<u64>, told: &Told) -> Result<Self, Rejected> {
        let mut taking = self.take();
        if let Some(revision) = decided {
            let received = taking.arriving.claimed(revision);
            taking.received(received);
        }
        if let Some(change) = told.change.clone() {
            taking.change(change)?;
        }
        taking.progress(told.mark.clone(), false);
        Ok(taking.done())
    }
}
