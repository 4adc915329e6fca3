//! Log-in.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use crate::api::Failure;
use crate::components::dynamic;
use crate::components::error::form_error;
use crate::components::field::{LINE, Look, Message, text_field};
use crate::components::language::language_switch;
use crate::components::page::announce_title;
use crate::components::rose::{chart, rose};
use crate::i18n::{Key, t};
use crate::session::{State, use_session};
use crate::{browser, paths};

/// The page.
#[component]
pub fn Login() -> impl IntoView {
    let session = use_session();
    let navigate = use_navigate();
    let query = use_query_map();
    announce_title(Signal::derive(|| t(Key::LogIn).to_owned()));

    let (user, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let failure = RwSignal::new(None::<Failure>);
    let (busy, tried) = (RwSignal::new(false), RwSignal::new(false));
    Effect::new(move |_| {
        if matches!(session.state(), State::In(_)) {
            let next = paths::safe_next(query.read_untracked().get("next").as_deref());
            navigate(
                &next,
                NavigateOptions {
                    replace: true,
                    ..Default::default()
                },
            );
        }
    });
    browser::soon(|| {
        browser::focus("input[name=user]");
    });
    let needed = move |value: RwSignal<String>| {
        Signal::derive(move || {
            let missing = tried.get() && value.with(String::is_empty);
            missing.then(|| Message::error(t(Key::FillIn)))
        })
    };
    let submit = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        tried.set(true);
        let (name, secret) = (user.get_untracked(), password.get_untracked());
        if busy.get_untracked() {
            return;
        }
        if name.is_empty() || secret.is_empty() {
            browser::focus(if name.is_empty() {
                "input[name=user]"
            } else {
                "input[name=password]"
            });
            return;
        }
        busy.set(true);
        failure.set(None);
        leptos::task::spawn_local(async move {
            if let Err(error) = session.log_in(name, secret).await {
                failure.set(Some(error));
                password.set(String::new());
                tried.set(false);
                browser::focus("input[name=password]");
            }
            busy.set(false);
        });
    };
    view! {
        <main class="login">
            {chart()}
            <div class="login__language">{language_switch()}</div>
            <form class="login__card" on:submit=submit novalidate>
                <div class="login__head">
                    {rose(96, false)} <h1 tabindex="-1">{t(Key::AppName)}</h1> <p>{t(Key::LogInLead)}</p>
                </div>
                {form_error(failure)}
                {text_field(
                    "user",
                    Key::User,
                    Look { autocomplete: "username", first: true, ..LINE },
                    user,
                    needed(user),
                    None,
                )}
                {text_field(
                    "password",
                    Key::Password,
                    Look { secret: true, autocomplete: "current-password", ..LINE },
                    password,
                    needed(password),
                    None,
                )}
                <button type="submit" class="button button--primary" aria-disabled=move || busy.get().then_some("true")>
                    {dynamic(move || t(if busy.get() { Key::LoggingIn } else { Key::LogIn }).into_any())}
                </button>
            </form>
        </main>
    }
}
