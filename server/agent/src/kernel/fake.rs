//! A kernel in memory that can fail one call at a time, for tests.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use portolan_plan::{Observed, RouteKey, Sysctl, Target};

use super::{Kernel, KernelError, RouteChange};

/// What the fake kernel holds: what is observed, and strangers' routes beside it.
#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    pub(crate) seen: Observed,
    /// Slots that hold routes which are not ours.
    pub(crate) strangers: BTreeMap<RouteKey, String>,
    pub(crate) calls: usize,
}

/// A fake kernel.
#[derive(Default)]
pub(crate) struct FakeKernel {
    pub(crate) state: Mutex<State>,
    /// The number of the call (from 0) that fails, if any.
    pub(crate) fail_at: Option<usize>,
}

impl FakeKernel {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            fail_at: None,
        }
    }

    fn call(&self, what: &str, work: impl FnOnce(&mut State) -> Result<(), i32>) -> Result<(), KernelError> {
        let mut state = self.state.lock();
        let number = state.calls;
        state.calls += 1;
        let result = if self.fail_at == Some(number) {
            Err(libc::ENOBUFS)
        } else {
            work(&mut state)
        };
        result.map_err(|errno| KernelError::Refused {
            what: what.to_owned(),
            errno,
            message: None,
        })
    }
}

impl Kernel for FakeKernel {
    fn observe(&self) -> Result<Observed, KernelError> {
        Ok(self.state.lock().seen.clone())
    }

    fn change_routes(&self, changes: &[RouteChange]) -> Vec<Result<(), KernelError>> {
        let one = |change: &RouteChange| match change {
            RouteChange::Put { key, route, replace } => self.call(&key.to_string(), |state| {
                if state.strangers.contains_key(key) || (state.seen.routes.contains_key(key) && !replace) {
                    return Err(libc::EEXIST);
                }
                if let Some(source) = route.source
                    && !state.seen.addresses.contains_key(&source)
                {
                    return Err(libc::EINVAL);
                }
                if let Target::Link(name) = &route.target
                    && !state.seen.links.contains_key(name)
                {
                    return Err(libc::ENODEV);
                }
                state.seen.routes.insert(*key, route.clone());
                Ok(())
            }),
            RouteChange::Drop { key, .. } => self.call(&key.to_string(), |state| {
                state.seen.routes.remove(key);
                Ok(())
            }),
        };
        changes.iter().map(one).collect()
    }

    fn put_gateway(&self) -> Result<(), KernelError> {
        self.call("the gateway", |state| {
            state.seen.gateway = true;
            Ok(())
        })
    }

    fn turn_on(&self, sysctl: Sysctl) -> Result<(), KernelError> {
        self.call(sysctl.path(), |state| match state.seen.sysctls.get_mut(&sysctl) {
            Some(value) => {
                *value = true;
                Ok(())
            }
            None => Err(libc::ENOENT),
        })
    }

    fn drop_link(&self, name: &str) -> Result<(), KernelError> {
        self.call(name, |state| {
            if let Some(link) = state.seen.links.remove(name) {
                state.seen.addresses.retain(|_, index| *index != link.index);
                state
                    .seen
                    .routes
                    .retain(|_, route| route.target != Target::Link(name.to_owned()));
            }
            Ok(())
        })
    }
}
