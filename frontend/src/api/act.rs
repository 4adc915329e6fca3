//! A write that a button starts. It never runs twice at once; the page can show why it failed; and pressing again after
//! an unclear failure repeats the same write, not a second one.

use gloo_net::http::Method;
use leptos::prelude::*;
use serde::Serialize;

use super::client::{encoded, send_text};
use super::failure::Failure;
use crate::browser;
use crate::session::{Session, use_session};

/// The write of one form or one button.
#[derive(Clone, Copy)]
pub struct Act {
    session: Session,
    /// It is on its way.
    pub busy: RwSignal<bool>,
    /// Why the last one failed.
    pub failure: RwSignal<Option<Failure>>,
    /// Address, body and idempotency key of the last one: pressed again unchanged, it is sent with the same key.
    again: StoredValue<Option<(String, Option<String>, String)>>,
}

/// The write of one form or one button, as the logged-in user.
pub fn use_act() -> Act {
    Act {
        session: use_session(),
        busy: RwSignal::new(false),
        failure: RwSignal::new(None),
        again: StoredValue::new(None),
    }
}

impl Act {
    /// Posts `body` to `url` in `project`; `done` runs with the answer of one that was accepted, if the page is still there.
    /// It is no `Callback`: one that is made where a button is drawn is gone once a live page draws the button anew.
    pub fn post(self, project: String, url: String, body: &impl Serialize, done: impl FnOnce(String) + 'static) {
        match encoded(Some(body)) {
            Ok(body) => self.run(project, url, body, Box::new(done)),
            Err(error) => self.failure.set(Some(Failure::unreadable(&error.to_string()))),
        }
    }

    /// Posts without a body.
    pub fn call(self, project: String, url: String, done: impl FnOnce(String) + 'static) {
        self.run(project, url, None, Box::new(done));
    }

    fn run(self, project: String, url: String, body: Option<String>, done: Box<dyn FnOnce(String)>) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.failure.set(None);
        let key = match self.again.get_value() {
            Some((at, of, key)) if at == url && of == body => key,
            _ => browser::fresh_key(),
        };
        self.again.set_value(Some((url.clone(), body.clone(), key.clone())));
        leptos::task::spawn_local(async move {
            let answer = send_text(self.session, &project, Method::POST, &url, body, &key).await;
            // The page may be gone by now; then nobody waits for the answer.
            if self.busy.try_set(false).is_some() {
                return;
            }
            match answer {
                Ok(text) => {
                    self.again.try_set_value(None);
                    done(text);
                }
                Err(failure) => {
                    self.failure.try_set(Some(failure));
                }
            }
        });
    }
}
