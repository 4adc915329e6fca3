//! *Delete*: says what goes; what stops it, the server names.

use gloo_net::http::Method;
use leptos::prelude::*;

use crate::api::{self, Failure};
use crate::components::button::{Look, button, sending_button};
use crate::components::error::form_error;
use crate::components::panel::{Closing, panel};
use crate::components::toast::use_toasts;
use crate::i18n::{Key, tp};
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
pub fn delete_panel(project: Signal<String>, doomed: Doomed, close: Callback<()>, done: Callback<()>) -> AnyView {
    let session = use_session();
    let toasts = use_toasts();
    let (busy, failure) = (RwSignal::new(false), RwSignal::new(None::<Failure>));
    let closing = Closing::new(Signal::stored(false), close);
    let title = tp(Key::DeleteNamed, &[("name", &doomed.name)]);
    let consequence = tp(doomed.consequence, &[("name", &doomed.name)]);
    let press = Callback::new(move |()| {
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
    });
    let body = vec![form_error(failure), view! { <p>{consequence}</p> }.into_any()].into_any();
    let foot = Box::new(move || {
        vec![
            sending_button(Look::Danger, Key::Delete, busy, press),
            button(Look::Plain, Key::Cancel, Callback::new(move |()| closing.request())),
        ]
        .into_any()
    });
    panel(Signal::stored(title), closing, body, foot)
}
