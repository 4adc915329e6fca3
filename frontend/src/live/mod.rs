//! Changes as they happen: one event stream for the project on screen, or for all of them.
//!
//! [`link`] decides, purely: what the mark says, when to try again, when silence means broken. This
//! module opens and closes the stream and tells whoever listens. Nothing depends on an event not
//! being lost: after a gap the stream goes on from the last revision heard, and when that is gone
//! the server says `reset` and every page reads anew.

pub mod link;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::select_all;
use gloo_net::eventsource::futures::EventSource;
use leptos::prelude::*;
use portolan_shared::v1::{ChangeEvent, Changed, ProgressEvent};

use crate::api::url;
use crate::browser;
use crate::session::Session;
use link::Link;

/// What a listener is told.
#[derive(Debug)]
pub enum LiveEvent {
    /// One commit.
    Changes(Vec<Changed>),
    /// Something was missed that cannot be told any more: look at everything again.
    Reset,
    /// The stream tells what comes after this revision: what was read before it may be old.
    Started(u64),
}

/// What is on screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nothing that changes.
    #[default]
    Nothing,
    /// This project.
    Project(String),
    /// Every project's: support's pages.
    All,
}

/// Something that wants to be told.
type Listener = Arc<dyn Fn(&LiveEvent) + Send + Sync>;

/// The stream, shared by all pages.
#[derive(Clone, Copy)]
pub struct Live {
    /// How it is.
    pub link: RwSignal<Link>,
    session: Session,
    scope: RwSignal<Scope>,
    /// Counts those who said what is on screen: the newest decides.
    follower: StoredValue<u64>,
    revision: StoredValue<Option<u64>>,
    started: StoredValue<Option<u64>>,
    listeners: StoredValue<(u64, BTreeMap<u64, Listener>)>,
    /// Counts connections: what an older one says is not heard.
    turn: StoredValue<u64>,
    source: StoredValue<Option<EventSource>, LocalStorage>,
}

impl Live {
    /// Provides the stream to everything below.
    pub fn provide(session: Session) -> Self {
        let live = Self {
            session,
            link: RwSignal::new(Link::Idle),
            scope: RwSignal::new(Scope::Nothing),
            follower: StoredValue::new(0),
            revision: StoredValue::new(None),
            started: StoredValue::new(None),
            listeners: StoredValue::new((0, BTreeMap::new())),
            turn: StoredValue::new(0),
            source: StoredValue::new_local(None),
        };
        provide_context(live);
        // Nothing at all for so long means a connection that died without telling.
        set_interval(move || live.check_silence(), std::time::Duration::from_secs(2));
        live
    }

    /// Somebody new who will say what is on screen.
    pub fn follower(self) -> u64 {
        self.follower.update_value(|follower| *follower += 1);
        self.follower.get_value()
    }

    /// Follows what is on screen, as `follower` says. A page that goes is not heard any more once the
    /// next one is there, whichever comes last.
    pub fn follow(self, follower: u64, scope: Scope) {
        if self.follower.get_value() != follower || self.scope.with_untracked(|now| *now == scope) {
            return;
        }
        self.revision.set_value(None);
        self.started.set_value(None);
        let nothing = scope == Scope::Nothing;
        self.scope.set(scope);
        if nothing {
            self.turn.update_value(|turn| *turn += 1);
            self.source.set_value(None);
            self.link.set(Link::Idle);
        } else {
            self.link.set(Link::Connecting);
            self.connect();
        }
    }

    /// From which revision on the stream has told everything; `None` before it opened.
    pub fn started(self) -> Option<u64> {
        self.started.try_get_value().flatten()
    }

    /// Tries now, not when the pause is over.
    pub fn retry(self) {
        if self.scope.with_untracked(|scope| *scope != Scope::Nothing) {
            self.connect();
        }
    }

    fn connect(self) {
        self.turn.update_value(|turn| *turn += 1);
        let turn = self.turn.get_value();
        let revision = self.revision.get_value();
        let address = self.scope.with_untracked(|scope| match scope {
            Scope::Project(project) => url::events(Some(project), revision),
            Scope::All | Scope::Nothing => url::events(None, revision),
        });
        let Ok(mut source) = EventSource::new(&address) else {
            self.lost(turn);
            return;
        };
        // `open` and `error` are the stream's own; the rest are the server's.
        let names = ["open", "error", "change", "progress", "reset"];
        let streams: Vec<_> = names.iter().filter_map(|name| source.subscribe(*name).ok()).collect();
        self.source.set_value(Some(source));
        leptos::task::spawn_local(async move {
            let mut events = select_all(streams);
            while let Some(event) = events.next().await {
                if self.turn.try_get_value() != Some(turn) {
                    return;
                }
                match event {
                    Ok((name, _)) if name == "error" => break,
                    Ok((name, event)) => self.event(&name, &event.data().as_string().unwrap_or_default()),
                    Err(_) => break,
                }
            }
            self.lost(turn);
        });
    }

    fn event(self, name: &str, data: &str) {
        let now = browser::now();
        self.link.maybe_update(|link| link.heard(now));
        match name {
            "change" => {
                let Ok(event) = serde_json::from_str::<ChangeEvent>(data) else {
                    return;
                };
                self.revision.set_value(Some(event.revision));
                self.tell(&LiveEvent::Changes(event.changes));
            }
            "progress" => {
                let Ok(event) = serde_json::from_str::<ProgressEvent>(data) else {
                    return;
                };
                match self.revision.get_value() {
                    Some(known) => self.revision.set_value(Some(event.revision.max(known))),
                    None => {
                        self.revision.set_value(Some(event.revision));
                        self.started.set_value(Some(event.revision));
                        self.tell(&LiveEvent::Started(event.revision));
                    }
                }
            }
            "reset" => {
                let Ok(event) = serde_json::from_str::<ProgressEvent>(data) else {
                    return;
                };
                self.revision.set_value(Some(event.revision));
                self.tell(&LiveEvent::Reset);
            }
            _ => {}
        }
    }

    fn lost(self, turn: u64) {
        if self.turn.try_get_value() != Some(turn) {
            return;
        }
        self.source.set_value(None);
        let now = browser::now();
        let link = self.link.get_untracked().lost(now);
        self.link.set(link);
        if link.attempts() == 2 {
            // The stream does not tell why it was refused; the session does.
            self.session.ask();
        }
        browser::after(link::pause(link.attempts(), browser::random()), move || {
            if self.turn.try_get_value() == Some(turn) {
                self.connect();
            }
        });
    }

    fn check_silence(self) {
        let link = self.link.get_untracked();
        if link.silent(browser::now()) {
            self.source.set_value(None);
            let turn = self.turn.get_value() + 1;
            self.turn.set_value(turn);
            self.lost(turn);
        }
    }

    fn tell(self, event: &LiveEvent) {
        let listeners: Vec<Listener> = self.listeners.with_value(|(_, all)| all.values().cloned().collect());
        for listener in listeners {
            listener(event);
        }
    }
}

/// Has `listener` called for everything heard, while the caller's owner lives.
pub fn listen(listener: impl Fn(&LiveEvent) + Send + Sync + 'static) {
    let live = expect_context::<Live>();
    let id = live.listeners.try_update_value(|(next, all)| {
        *next += 1;
        all.insert(*next, Arc::new(listener));
        *next
    });
    on_cleanup(move || {
        if let Some(id) = id {
            live.listeners.try_update_value(|(_, all)| all.remove(&id));
        }
    });
}
