//! A read model that a page shows, kept up to date.
//!
//! It is asked for when its address is known, again when a change concerns it, and again after a failure that may pass.
//! Old data stays while new data is on its way or cannot be had.

use std::sync::Arc;

use leptos::prelude::*;
use portolan_shared::v1::{Changed, Kind};
use serde::de::DeserializeOwned;
use web_sys::AbortController;

use super::failure::Failure;
use crate::live::{self, Live, LiveEvent};
use crate::session::Session;
use crate::{browser, live::link};

/// Shortest time between two requests of one read (milliseconds): changes in between share one.
const PAUSE: i32 = 120;

/// Changes of every kind, also of kinds that are yet to come.
pub const ALL_KINDS: &[Kind] = &[];

/// Which changes make a page look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Kinds of things, or [`ALL_KINDS`].
    pub kinds: &'static [Kind],
    /// Only in this network or subnet, or of this id; empty: everywhere in the project.
    ///
    /// A change that does not say where it is counts as being here.
    pub within: Signal<String>,
    /// Only of this project; empty: of any that the stream tells of.
    pub project: Signal<String>,
}

impl Interest {
    /// Everything of these kinds in the project, or in all of them.
    pub fn anywhere(kinds: &'static [Kind]) -> Self {
        Self::within(kinds, Signal::stored(String::new()))
    }

    /// These kinds in a network or subnet, or of a cluster.
    pub fn within(kinds: &'static [Kind], within: Signal<String>) -> Self {
        Self {
            kinds,
            within,
            project: Signal::stored(String::new()),
        }
    }

    /// These kinds in one project, where the stream tells of all.
    pub fn of_project(kinds: &'static [Kind], project: Signal<String>) -> Self {
        Self {
            project,
            ..Self::anywhere(kinds)
        }
    }
}

/// Whether a change is of `project`; one that does not say whose it is comes from that project's stream.
fn is_of(project: &str, change: &Changed) -> bool {
    project.is_empty() || change.project.is_none_or(|of| of.to_string() == project)
}

/// Whether a change concerns what is within `within`; see [`Interest::within`].
pub fn concerns(kinds: &[Kind], within: &str, change: &Changed) -> bool {
    if !kinds.is_empty() && !kinds.contains(&change.kind) {
        return false;
    }
    // How a node is doing shows in the status of ports anywhere.
    if within.is_empty() || change.id == within || change.kind == Kind::Node {
        return true;
    }
    let mut places = change
        .network
        .map(|id| id.to_string())
        .into_iter()
        .chain(change.subnets.iter().map(ToString::to_string))
        .chain(change.cluster.map(|id| id.to_string()))
        .peekable();
    places.peek().is_none() || places.any(|place| place == within)
}

/// What a page shows of a read model.
pub struct Read<T: Send + Sync + 'static> {
    /// The newest data there is.
    pub data: RwSignal<Option<T>>,
    /// Why the last request brought nothing, until one brings something.
    pub failure: RwSignal<Option<Failure>>,
    /// When `data` was had.
    pub fetched: RwSignal<i64>,
    ask: StoredValue<Arc<dyn Fn() + Send + Sync>>,
}

impl<T: Send + Sync + 'static> Clone for Read<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Read<T> {}

impl<T: Send + Sync + 'static> Read<T> {
    /// Asks again, as *Try again* does.
    pub fn again(&self) {
        if let Some(ask) = self.ask.try_get_value() {
            ask();
        }
    }
}

/// Reads `url` while the caller's owner lives; an empty address is not asked for yet.
pub fn use_read<T>(url: Signal<String>, interest: Interest) -> Read<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let data = RwSignal::new(None);
    let failure = RwSignal::new(None);
    let fetched = RwSignal::new(0);
    let keep = move |text: Option<&str>| {
        data.try_set(text.map(serde_json::from_str::<T>).transpose()?);
        Ok(())
    };
    let shown = Shown {
        failure,
        fetched,
        keep: Arc::new(keep),
    };
    let ask = run(url, interest, shown);
    Read {
        data,
        failure,
        fetched,
        ask: StoredValue::new(ask),
    }
}

/// The revision a read model begins with.
fn revision_of(text: &str) -> Option<u64> {
    let rest = text.strip_prefix("{\"revision\":")?;
    rest[..rest.find(|c: char| !c.is_ascii_digit())?].parse().ok()
}

/// Whether what was read at `revision` may lack changes that the stream, from `started` on, did not tell.
fn older(revision: Option<u64>, started: Option<u64>) -> bool {
    matches!((revision, started), (Some(revision), Some(started)) if revision < started)
}

/// The state of a running read, besides its data.
#[derive(Clone, Copy, Default)]
struct Flight {
    /// A request is out.
    out: bool,
    /// Something changed since it went out.
    stale: bool,
    /// How often in a row it failed.
    failures: u32,
    /// Counts addresses: an answer to an older one is dropped.
    turn: u32,
    /// The revision of the newest answer.
    revision: Option<u64>,
}

/// What is shown of a read model, whatever its type.
#[derive(Clone)]
struct Shown {
    failure: RwSignal<Option<Failure>>,
    fetched: RwSignal<i64>,
    /// Reads the text and keeps it as data; without one there is no data any more.
    keep: Keep,
}

type Keep = Arc<dyn Fn(Option<&str>) -> serde_json::Result<()> + Send + Sync>;

impl Shown {
    /// Shows an answer.
    fn settle(&self, answer: Result<String, Failure>) {
        let failed = match answer {
            Ok(text) => {
                let unread = (self.keep)(Some(&text)).err();
                unread.map(|error| Failure::unreadable(&error.to_string()))
            }
            Err(failed) => Some(failed),
        };
        if failed.is_none() {
            self.fetched.try_set(browser::now());
        }
        // It is gone, so old data of it is not shown any more.
        if failed
            .as_ref()
            .is_some_and(|failed| failed.status == 404 || failed.status == 403)
        {
            self.nothing();
        }
        self.failure.try_set(failed);
    }

    /// Shows no data.
    fn nothing(&self) {
        // Nothing is read, so nothing can fail.
        let _ = (self.keep)(None);
    }
}

/// The part of [`use_read`] that does not know the type.
fn run(url: Signal<String>, interest: Interest, shown: Shown) -> Arc<dyn Fn() + Send + Sync> {
    let session = expect_context::<Session>();
    let stream = expect_context::<Live>();
    let flight = StoredValue::new(Flight::default());
    let abort = StoredValue::new_local(None::<AbortController>);
    let again = StoredValue::new(None::<Arc<dyn Fn() + Send + Sync>>);
    let later = move |millis| {
        browser::after(millis, move || {
            if let Some(Some(ask)) = again.try_get_value() {
                ask();
            }
        });
    };

    let answers = shown.clone();
    let ask: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
        let Some(now) = flight.try_get_value() else { return };
        if now.out {
            flight.update_value(|flight| flight.stale = true);
            return;
        }
        let url = url.get_untracked();
        if url.is_empty() {
            return;
        }
        flight.update_value(|flight| (flight.out, flight.stale) = (true, false));
        let shown = answers.clone();
        leptos::task::spawn_local(async move {
            let controller = AbortController::new().ok();
            let signal = controller.as_ref().map(AbortController::signal);
            abort.try_set_value(controller);
            let answer = super::client::get(&url, signal.as_ref()).await;
            let Some(after) = flight.try_get_value() else { return };
            if after.turn != now.turn {
                return;
            }
            let failed = answer.as_ref().err().cloned();
            let failures = if failed.is_some() { after.failures + 1 } else { 0 };
            let revision = answer.as_ref().ok().and_then(|text| revision_of(text));
            let stale = after.stale || older(revision, stream.started());
            flight.update_value(|flight| {
                (flight.out, flight.failures, flight.revision) = (false, failures, revision);
            });
            shown.settle(answer);
            match failed {
                Some(failure) if failure.status == 401 => session.expired(),
                Some(failure) if failure.passes() => later(link::pause(failures, browser::random())),
                _ if stale => later(PAUSE),
                _ => {}
            }
        });
    });
    again.set_value(Some(ask.clone()));

    // A new address: what was shown belongs to the old one.
    let first = ask.clone();
    Effect::new(move |previous: Option<String>| {
        let url = url.get();
        if previous.as_ref() != Some(&url) {
            if previous.is_some() {
                abort.with_value(|abort| abort.as_ref().map(|abort| abort.abort()));
                shown.nothing();
                shown.failure.try_set(None);
            }
            flight.update_value(|flight| {
                *flight = Flight {
                    turn: flight.turn + 1,
                    ..Flight::default()
                }
            });
            first();
        }
        url
    });

    let look = ask.clone();
    live::listen(move |event| {
        let concerned = match event {
            LiveEvent::Changes(changes) => {
                let (within, project) = (interest.within.get_untracked(), interest.project.get_untracked());
                let here = |change: &&Changed| is_of(&project, change);
                let mut here = changes.iter().filter(here);
                here.any(|change| concerns(interest.kinds, &within, change))
            }
            LiveEvent::Reset => true,
            LiveEvent::Started(from) => flight
                .try_get_value()
                .is_some_and(|flight| !flight.out && older(flight.revision, Some(*from))),
        };
        if concerned {
            look();
        }
    });
    on_cleanup(move || {
        abort.with_value(|abort| abort.as_ref().map(|abort| abort.abort()));
    });
    ask
}

#[cfg(test)]
mod tests {
    use portolan_shared::v1::Op;

    use super::*;

    const SUBNET: &str = "01930000-0000-7000-8000-000000000001";
    const OTHER: &str = "01930000-0000-7000-8000-000000000002";

    fn change(kind: Kind) -> Changed {
        Changed {
            kind,
            op: Op::Put,
            id: "x".into(),
            project: None,
            network: None,
            subnets: vec![],
            cluster: None,
            actor: None,
        }
    }

    #[test]
    fn a_page_looks_again_when_something_of_its_own_changes() {
        let port = Changed {
            subnets: vec![SUBNET.parse().unwrap()],
            ..change(Kind::Port)
        };
        assert!(concerns(&[Kind::Port], SUBNET, &port));
        assert!(!concerns(&[Kind::Port], OTHER, &port), "another subnet");
        assert!(!concerns(&[Kind::Subnet], SUBNET, &port), "another kind");
        assert!(concerns(ALL_KINDS, SUBNET, &port) && !concerns(ALL_KINDS, OTHER, &port));
        assert!(concerns(&[Kind::Port], "", &port), "anywhere in the project");
        assert!(
            concerns(&[Kind::Port], OTHER, &change(Kind::Port)),
            "it does not say where"
        );
        assert!(concerns(
            &[Kind::Subnet],
            "x",
            &Changed {
                network: OTHER.parse().ok(),
                ..change(Kind::Subnet)
            }
        ));
    }

    #[test]
    fn a_change_of_another_project_is_none_of_its_business() {
        let here = Changed {
            project: OTHER.parse().ok(),
            ..change(Kind::Request)
        };
        let project = here.project.map(|id| id.to_string()).unwrap();
        assert!(is_of(&project, &here) && is_of("", &here));
        assert!(!is_of("another", &here));
        assert!(is_of("another", &change(Kind::Request)), "it does not say whose it is");
    }

    #[test]
    fn what_was_read_before_the_stream_began_is_read_again() {
        assert_eq!(revision_of(r#"{"revision":17,"items":[]}"#), Some(17));
        assert_eq!(revision_of("[]"), None);
        assert!(older(Some(16), Some(17)));
        assert!(!older(Some(17), Some(17)) && !older(None, Some(17)) && !older(Some(1), None));
    }

    #[test]
    fn a_node_concerns_ports_wherever_they_are() {
        let node = Changed {
            cluster: OTHER.parse().ok(),
            ..change(Kind::Node)
        };
        assert!(concerns(&[Kind::Port, Kind::Node], SUBNET, &node));
    }
}
