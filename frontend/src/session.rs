//! Who is logged in, and in which project a page is.

use gloo_net::http::Method;
use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_params_map};
use portolan_shared::v1;

use crate::api::{self, Failure, url};
use crate::{browser, paths};

/// What is known of the log-in.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    /// Not asked yet.
    #[default]
    Unknown,
    /// Asked, and no answer came.
    Failed(Failure),
    /// Nobody is logged in.
    Out,
    /// This user is logged in.
    In(v1::Session),
}

/// The log-in, shared by all pages.
#[derive(Clone, Copy)]
pub struct Session {
    state: RwSignal<State>,
}

impl Session {
    /// Provides the session to everything below, and asks the server who it is.
    pub fn provide() -> Self {
        let session = Self {
            state: RwSignal::new(State::Unknown),
        };
        provide_context(session);
        session.ask();
        session
    }

    /// Asks the server again.
    pub fn ask(self) {
        leptos::task::spawn_local(async move {
            let state = match api::client::get(url::SESSION, None).await {
                Ok(text) => match serde_json::from_str(&text) {
                    Ok(session) => State::In(session),
                    Err(error) => State::Failed(Failure::unreadable(&error.to_string())),
                },
                Err(failure) if failure.status == 401 => State::Out,
                // No answer says nothing about who is logged in.
                Err(_) if self.state.with_untracked(|state| matches!(state, State::In(_))) => return,
                Err(failure) => State::Failed(failure),
            };
            if self.state.with_untracked(|known| *known != state) {
                self.state.set(state);
            }
        });
    }

    /// What is known.
    pub fn state(self) -> State {
        self.state.get()
    }

    /// Logs in.
    pub async fn log_in(self, user: String, password: String) -> Result<(), Failure> {
        let body = v1::LogIn { user, password };
        let text = api::send(self, "", Method::POST, url::SESSION, Some(&body)).await?;
        let session = serde_json::from_str(&text).map_err(|error| Failure::unreadable(&error.to_string()))?;
        self.state.set(State::In(session));
        Ok(())
    }

    /// Keeps the language with the account.
    pub async fn keep_language(self, tag: &str) -> Result<(), Failure> {
        let body = v1::ChangeSession {
            language: Some(tag.to_owned()),
        };
        let text = api::send(self, "", Method::PUT, url::SESSION, Some(&body)).await?;
        let session = serde_json::from_str(&text).map_err(|error| Failure::unreadable(&error.to_string()))?;
        self.state.set(State::In(session));
        Ok(())
    }

    /// The account's language, if somebody is logged in and has chosen one.
    pub fn language(self) -> Option<Option<String>> {
        self.state.with(account_language)
    }

    /// As [`Session::language`], once.
    pub fn language_untracked(self) -> Option<Option<String>> {
        self.state.with_untracked(account_language)
    }

    /// Logs out; the page forgets the user whatever the server says.
    pub async fn log_out(self) {
        let _ = api::send(self, "", Method::DELETE, url::SESSION, None::<&()>).await;
        self.state.set(State::Out);
    }

    /// The server does not know the session any more.
    pub fn expired(self) {
        self.state.set(State::Out);
    }

    /// The token that every write carries.
    pub fn csrf(self) -> String {
        self.state.with_untracked(|state| match state {
            State::In(session) => session.csrf.clone(),
            _ => String::new(),
        })
    }

    /// The user's name.
    pub fn user(self) -> String {
        self.state.with(|state| match state {
            State::In(session) => session.user.name.clone(),
            _ => String::new(),
        })
    }

    /// The user's projects.
    pub fn projects(self) -> Vec<v1::ProjectRef> {
        self.state.with(|state| match state {
            State::In(session) => session.projects.clone(),
            _ => Vec::new(),
        })
    }

    /// Whether the user may change things in `project`. Every control that changes something is there
    /// only if this says so: for readers and for support there is none.
    pub fn may_write(self, project: &str) -> bool {
        self.state.with(|state| writes(state, project))
    }

    /// Whether the user sees every project, and decides requests.
    pub fn is_support(self) -> bool {
        self.state
            .with(|state| matches!(state, State::In(session) if session.support || session.admin))
    }

    /// Whether the user may change everything, everywhere.
    pub fn is_admin(self) -> bool {
        self.state
            .with(|state| matches!(state, State::In(session) if session.admin))
    }

    /// Whether a lab runs beside the control plane and makes nodes.
    pub fn has_lab(self) -> bool {
        self.state
            .with(|state| matches!(state, State::In(session) if session.lab))
    }

    /// What a project is called; its id, where the user does not know it.
    pub fn project_name(self, project: &str) -> String {
        let known = self
            .projects()
            .into_iter()
            .find(|known| known.id.to_string() == project);
        known.map_or_else(|| project.to_owned(), |known| known.name)
    }
}

/// What [`Session::may_write`] says.
fn writes(state: &State, project: &str) -> bool {
    let State::In(session) = state else { return false };
    session.admin
        || session.projects.iter().any(|known| {
            known.id.to_string() == project && known.roles.iter().any(|role| role == "member" || role == "admin")
        })
}

fn account_language(state: &State) -> Option<Option<String>> {
    match state {
        State::In(session) => Some(session.language.clone()),
        _ => None,
    }
}

/// The session of this application.
pub fn use_session() -> Session {
    expect_context::<Session>()
}

/// The project in the page's address.
pub fn use_project() -> Signal<String> {
    let params = use_params_map();
    Memo::new(move |_| params.with(|params| params.get("project").unwrap_or_default())).into()
}

/// A parameter of the page's address, such as its `id`.
pub fn use_param(name: &'static str) -> Signal<String> {
    let params = use_params_map();
    Memo::new(move |_| params.with(|params| params.get(name).unwrap_or_default())).into()
}

/// Goes to the log-in page as soon as nobody is logged in, to come back afterwards.
pub fn require_log_in(session: Session) {
    let navigate = use_navigate();
    Effect::new(move |_| {
        if session.state.with(|state| *state == State::Out) {
            let here = browser::here();
            if !here.starts_with("/login") {
                let next = if here == "/" {
                    String::new()
                } else {
                    browser::escape(&here)
                };
                navigate(
                    &paths::login(&next),
                    NavigateOptions {
                        replace: true,
                        ..Default::default()
                    },
                );
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "01930000000070008000000000000001";

    fn state(roles: &[&str], admin: bool) -> State {
        State::In(v1::Session {
            user: v1::UserRef {
                id: OWN.parse().unwrap(),
                name: "anna".into(),
            },
            projects: vec![v1::ProjectRef {
                id: OWN.parse().unwrap(),
                name: "demo".into(),
                roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            }],
            support: false,
            admin,
            language: None,
            lab: false,
            csrf: String::new(),
        })
    }

    #[test]
    fn readers_and_support_change_nothing() {
        for (roles, expected) in [
            (&["member"][..], true),
            (&["admin"], true),
            (&["reader"], false),
            (&["support"], false),
            (&["support", "reader"], false),
            (&["support", "member"], true),
            (&[], false),
        ] {
            assert_eq!(writes(&state(roles, false), OWN), expected, "{roles:?}");
        }
        assert!(!writes(&state(&["member"], false), "another"));
        assert!(writes(&state(&[], true), "another"), "an administrator everywhere");
        assert!(!writes(&State::Out, OWN));
    }
}
