//! *Create network*, as a panel over the list.

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;

use crate::api::bodies::{CreateNetwork, Made};
use crate::api::{self, Failure, url};
use crate::components::error::form_error;
use crate::components::field::{LINE, Look, text_field};
use crate::components::panel::{Closing, form, form_foot, panel};
use crate::components::toast::use_toasts;
use crate::forms::network::{description_message, name_message};
use crate::forms::{next_name, port::forbids};
use crate::i18n::{Key, t, tp};
use crate::session::use_session;
use crate::{browser, paths};

/// The panel.
pub fn add_network(project: Signal<String>, names: Signal<Vec<String>>, close: Callback<()>) -> AnyView {
    let session = use_session();
    let toasts = use_toasts();
    let navigate = use_navigate();
    let first_name = next_name("network", &names.get_untracked());
    let name = RwSignal::new(first_name.clone());
    let description = RwSignal::new(String::new());
    let (busy, failure) = (RwSignal::new(false), RwSignal::new(None::<Failure>));
    let name_said = Signal::derive(move || name_message(&name.get(), &names.get()));
    let description_said = Signal::derive(move || description_message(&description.get()));
    let dirty = Signal::derive(move || name.get() != first_name || !description.get().is_empty());
    let closing = Closing::new(dirty, close);

    let submit = Callback::new(move |()| {
        if busy.get_untracked() {
            return;
        }
        if forbids(name_said.get_untracked().as_ref()) || forbids(description_said.get_untracked().as_ref()) {
            browser::focus(".panel [aria-invalid=true]");
            return;
        }
        busy.set(true);
        failure.set(None);
        let navigate = navigate.clone();
        leptos::task::spawn_local(async move {
            let (project, name, description) = (
                project.get_untracked(),
                name.get_untracked(),
                description.get_untracked(),
            );
            let body = CreateNetwork::new(name.trim(), description.trim());
            let answer = api::send(
                session,
                &project,
                Method::POST,
                &url::networking("networks"),
                Some(&body),
            )
            .await;
            busy.try_set(false);
            match answer {
                Ok(text) => {
                    toasts.show(tp(Key::Created1, &[("name", name.trim())]));
                    match serde_json::from_str::<Made>(&text) {
                        Ok(made) => navigate(&paths::network(&project, &made.object.id), Default::default()),
                        Err(_) => close.run(()),
                    }
                }
                Err(error) => {
                    failure.try_set(Some(error));
                }
            }
        });
    });
    let body = form(
        vec![
            form_error(failure),
            text_field("name", Key::Name, Look { first: true, ..LINE }, name, name_said, None),
            text_field(
                "description",
                Key::Description,
                Look {
                    optional: true,
                    lines: 3,
                    ..LINE
                },
                description,
                description_said,
                None,
            ),
        ],
        submit,
    );
    let foot = Box::new(move || form_foot(Key::CreateNetwork, busy, submit, closing));
    panel(Signal::derive(|| t(Key::CreateNetwork).to_owned()), closing, body, foot)
}
