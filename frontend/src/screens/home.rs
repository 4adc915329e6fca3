//! `/`: to the first project's networks.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use crate::components::error::{error_block, notice};
use crate::components::{dynamic, nothing};
use crate::i18n::{Key, t};
use crate::session::{State, require_log_in, use_session};
use crate::{browser, paths};

/// Goes on to the project last looked at, else the first one.
#[component]
pub fn Home() -> impl IntoView {
    let session = use_session();
    require_log_in(session);
    let navigate = use_navigate();
    Effect::new(move |_| {
        if let State::In(who) = session.state() {
            let last = browser::remembered("project");
            let ids: Vec<String> = who.projects.iter().map(|project| project.id.to_string()).collect();
            let id = last.filter(|last| ids.contains(last)).or_else(|| ids.first().cloned());
            if let Some(id) = id {
                navigate(
                    &paths::networks(&id),
                    NavigateOptions {
                        replace: true,
                        ..Default::default()
                    },
                );
            }
        }
    });
    let again = Callback::new(move |()| session.ask());
    view! {
        <main class="page">
            {dynamic(move || match session.state() {
                State::Failed(failure) => error_block(&failure, Some(again)),
                State::In(who) if who.projects.is_empty() => notice(t(Key::NoProjects).to_owned()),
                _ => nothing(),
            })}
        </main>
    }
}
