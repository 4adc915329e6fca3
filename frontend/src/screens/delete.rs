//! *Delete*: says what goes; what stops it, the server names.

use gloo_net::http::Method;
use leptos::prelude::*;

use crate::api::{self, Failure};
use crate::components::error::error_block;
use crate::components::panel::{Closing, panel};
use crate::components::toast::use_toasts;
use crate::i18n::{Key, t, tp};
use crate::session::use_session;

/// What is to be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// Its name, as a person knows it.
    pub name: String,
    /// The call that deletes it.
    pub url: String,
    /// What happens when it goes.
    pub consequence: Key,
}

/// The panel. `done` runs once it is gone.
pub fn delete_panel(
    project: Signal<String>,
    doomed: Doomed,
    close: Callback<()>,
    done: Callback<()>,
) -> impl IntoView {
    let session = use_session();
    let toasts = use_toasts();
    let (busy, failure) = (RwSignal::new(false), RwSignal::new(None::<Failure>));
    let closing = Closing::new(Signal::stored(false), close);
    let title = tp(Key::DeleteNamed, &[("name", &doomed.name)]);
    let consequence = tp(doomed.consequence, &[("name", &doomed.name)]);
    let press = move || {
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        failure.set(None);
        let doomed = doomed.clone();
        leptos::task::spawn_local(async move {
            let project = project.get_untracked();
            let answer = api::send(session, &project, Method::DELETE, &doomed.url, None::<&()>).await;
            busy.try_set(false);
            match answer {
                Ok(_) => {
                    toasts.show(tp(Key::Deleted1, &[("name", &doomed.name)]));
                    done.run(());
                }
                // Somebody was faster: it is gone all the same.
                Err(error) if error.status == 404 => done.run(()),
                Err(error) => {
                    failure.try_set(Some(error));
                }
            }
        });
    };
    let body = view! {
        {move || failure.get().map(|failure| view! { <div class="error--inline">{error_block(&failure, None)}</div> })}
        <p>{consequence}</p>
    };
    let foot = move || {
        let press = press.clone();
        view! {
            <button
                type="button"
                class="button button--danger"
                data-first=""
                aria-disabled=move || busy.get().then_some("true")
                on:click=move |_| press()
            >
                {move || if busy.get() { t(Key::Sending) } else { t(Key::Delete) }}
            </button>
            <button type="button" class="button" on:click=move |_| closing.request()>
                {t(Key::Cancel)}
            </button>
        }
        .into_any()
    };
    panel(Signal::stored(title), closing, body, foot)
}
