//! *Grant*, *Decline*, *Revoke*: says what follows, asks for what the customer is told, and says when
//! somebody else was faster.

use leptos::prelude::*;
use portolan_shared::v1::{GrantRequest, SupportRequest, Verdict as Said};

use crate::api::{Failure, url, use_act};
use crate::components::button::{Look, button, sending_button};
use crate::components::error::error_block;
use crate::components::facts::link;
use crate::components::field::{LINE, Look as FieldLook, choice_field, message_view};
use crate::components::field::{Message, Weight};
use crate::components::panel::{Closing, form, panel};
use crate::components::time::use_clock;
use crate::components::toast::use_toasts;
use crate::components::{maybe, nothing, unique_id};
use crate::forms::request::{end_of_day, lives_on, text_message, verdict_message};
use crate::i18n::{Key, t, tp};
use crate::screens::shadowport::parts::writing;
use crate::screens::shadowport::status::{self, GrantStatus};
use crate::{browser, paths};

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The project gets it.
    Grant,
    /// It does not.
    Decline,
    /// It has it no longer.
    Revoke,
}

impl Verdict {
    /// Its name in the page's address and in the server's.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Grant => "grant",
            Verdict::Decline => "decline",
            Verdict::Revoke => "revoke",
        }
    }

    /// By that name.
    pub fn of(word: &str) -> Option<Self> {
        [Verdict::Grant, Verdict::Decline, Verdict::Revoke]
            .into_iter()
            .find(|verdict| verdict.word() == word)
    }

    /// Title, what follows, button, what is said once it is done.
    fn keys(self) -> [Key; 4] {
        match self {
            Verdict::Grant => [Key::GrantTitle, Key::GrantText, Key::Grant, Key::GrantDone],
            Verdict::Decline => [Key::DeclineTitle, Key::DeclineText, Key::Decline, Key::DeclineDone],
            Verdict::Revoke => [Key::RevokeTitle, Key::RevokeText, Key::Revoke, Key::RevokeDone],
        }
    }

    /// Why it cannot be decided so any more: somebody was faster.
    pub fn too_late(self, page: &SupportRequest, zone: i64) -> Option<String> {
        let may = match self {
            Verdict::Grant | Verdict::Decline => page.request.state.open(),
            Verdict::Revoke => status::grant_status(&page.request) == Some(GrantStatus::Holds),
        };
        if may {
            None
        } else {
            status::decided_by_now(&page.request, zone)
        }
    }
}

/// What went wrong, with the name of who was faster.
fn told(failure: Failure, zone: i64) -> Failure {
    match status::decided_meanwhile(&failure.code, &failure.params, zone) {
        Some(said) => Failure {
            code: String::new(),
            said,
            ..failure
        },
        None => failure,
    }
}

/// The panel, over the page of request `id`.
pub fn decide_panel(
    verdict: Verdict,
    page: Signal<Option<SupportRequest>>,
    id: Signal<String>,
    close: Callback<()>,
) -> AnyView {
    let toasts = use_toasts();
    let zone = use_clock().zone();
    let act = use_act();
    let [title, text, label, done] = verdict.keys();
    let (message, day) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let (until, tried) = (RwSignal::new(0_usize), RwSignal::new(false));
    let request = move || page.with(|page| page.as_ref().map(|page| page.request.clone()));
    let too_late = Memo::new(move |_| {
        // The reader's own decision is not reported as somebody else's.
        let late = page.with(|page| page.as_ref().and_then(|page| verdict.too_late(page, zone)));
        late.filter(|_| !act.busy.get())
    });
    let ends = Memo::new(move |_| end_of_day(&day.get(), zone, browser::now()));
    let dated = move || verdict == Verdict::Grant && until.get() == 1;
    let message_said = Memo::new(move |_| {
        message.with(|message| match verdict {
            Verdict::Grant => text_message(message, 0, Key::MessageEmpty),
            Verdict::Decline | Verdict::Revoke => verdict_message(message),
        })
    });
    let day_said =
        Memo::new(move |_| (dated() && ends.with(Option::is_none)).then(|| Message::error(t(Key::GrantDateNeeded))));
    let submit = Callback::new(move |()| {
        if too_late.with_untracked(Option::is_some) {
            return;
        }
        tried.set(true);
        if message_said.with_untracked(Option::is_some) || day_said.with_untracked(Option::is_some) {
            browser::soon(|| {
                browser::focus(".panel [aria-invalid=true]");
            });
            return;
        }
        let Some(request) = untrack(request) else { return };
        let url = url::of_support(&format!("requests/{}/{}", id.get_untracked(), verdict.word()));
        let project = request.project.id.to_string();
        let said = message.with_untracked(|message| message.trim().to_owned());
        let finished = move |_| {
            toasts.show(t(done).to_owned());
            close.run(());
        };
        match verdict {
            Verdict::Grant => {
                let body = GrantRequest {
                    until: ends.get_untracked().filter(|_| untrack(dated)),
                    message: Some(said).filter(|said| !said.is_empty()),
                };
                act.post(project, url, &body, finished);
            }
            Verdict::Decline | Verdict::Revoke => act.post(project, url, &Said { message: said }, finished),
        }
    });

    let typed = move || message.with(|message| !message.trim().is_empty()) || !day.get().is_empty();
    let dirty = Signal::derive(move || too_late.with(Option::is_none) && typed());
    let closing = Closing::new(dirty, close);
    let failure = maybe(move || {
        // Once the page shows the new state, it says the same.
        let failure = act.failure.get().filter(|_| too_late.with(Option::is_none))?;
        Some(view! { <div class="error--inline">{error_block(&told(failure, zone), None)}</div> }.into_any())
    });
    let late = maybe(move || {
        let sentence = too_late.get()?;
        Some(
            view! {
                <div class="error error--inline" role="alert">
                    <p class="error__sentence">{sentence}</p>
                </div>
            }
            .into_any(),
        )
    });
    let lead = view! { <p>{t(text)}</p> }.into_any();
    let clusters = match verdict {
        Verdict::Revoke => maybe(move || page.with(|page| Some(goes_on(page.as_ref()?)))),
        Verdict::Grant | Verdict::Decline => nothing(),
    };
    let how_long = match verdict {
        Verdict::Grant => vec![
            choice_field(Key::GrantHowLong, &[Key::GrantUntilRevoked, Key::GrantUntilDate], until),
            maybe(move || {
                let said = Signal::derive(move || day_said.get().filter(|_| tried.get()));
                dated().then(|| day_field(day, said))
            }),
        ]
        .into_any(),
        Verdict::Decline | Verdict::Revoke => nothing(),
    };
    let look = FieldLook {
        lines: 5,
        optional: verdict == Verdict::Grant,
        first: verdict != Verdict::Grant,
        ..LINE
    };
    let said = Signal::derive(move || message_said.get().filter(|_| tried.get()));
    let field = writing("message", Key::MessageForCustomer, look, message, said, None);
    // Once it is decided there is nothing left to write.
    let open = view! { <div hidden=move || too_late.with(Option::is_some)>{lead}{how_long}{field}</div> }.into_any();
    let body = form(vec![failure, late, clusters, open], submit);
    let foot = Box::new(move || {
        let look = match verdict {
            Verdict::Grant => Look::Primary,
            Verdict::Decline | Verdict::Revoke => Look::Danger,
        };
        let send = maybe(move || {
            too_late
                .with(Option::is_none)
                .then(|| sending_button(look, label, act.busy, submit))
        });
        let leave = Callback::new(move |()| closing.request());
        let word = move || {
            if too_late.with(Option::is_some) {
                Key::Close
            } else {
                Key::Cancel
            }
        };
        let go = maybe(move || Some(button(Look::Plain, word(), leave)));
        vec![send, go].into_any()
    });
    let title = Signal::derive(move || {
        let name = request().map_or_else(String::new, |request| request.project.name);
        tp(title, &[("project", &name)])
    });
    panel(title, closing, body, foot)
}

/// Which clusters live on the grant, and that they go on.
fn goes_on(page: &SupportRequest) -> AnyView {
    let project = page.request.project.id.to_string();
    let clusters: Vec<AnyView> = page
        .lives_on
        .iter()
        .map(|cluster| {
            let href = paths::cluster(&project, &cluster.id.to_string());
            view! { <li>{link(cluster.name.clone(), href)}</li> }.into_any()
        })
        .collect();
    view! {
        <div class="lives-on" data-testid="lives-on">
            <p>{lives_on(clusters.len())}</p>
            <ul class="lines">{clusters}</ul>
        </div>
    }
    .into_any()
}

/// A day, in the browser's own calendar.
fn day_field(day: RwSignal<String>, said: Signal<Option<Message>>) -> AnyView {
    let id = unique_id("until");
    let (hint, message) = (format!("{id}-hint"), format!("{id}-message"));
    let invalid = move || {
        said.with(|said| said.as_ref().is_some_and(|said| said.weight == Weight::Error))
            .to_string()
    };
    view! {
        <div class="field">
            <label class="field__label" for=id.clone()>
                {t(Key::GrantDate)}
            </label>
            <input
                id=id
                class="input"
                type="date"
                name="until"
                aria-invalid=invalid
                aria-describedby=format!("{hint} {message}")
                prop:value=day
                on:input:target=move |event| day.set(event.target().value())
            />
            <p class="field__hint" id=hint>{t(Key::GrantDateHint)}</p>
            <div id=message aria-live="polite">
                {maybe(move || said.get().map(|said| message_view(&said)))}
            </div>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use portolan_shared::v1::RequestState;

    use super::*;
    use crate::screens::shadowport::status::tests::{granted, request};

    fn page(request: portolan_shared::v1::ShadowRequest) -> SupportRequest {
        SupportRequest {
            revision: 1,
            request,
            networks: vec![],
            clusters: vec![],
            quotas: vec![],
            earlier: vec![],
            lives_on: vec![],
        }
    }

    #[test]
    fn what_is_open_can_be_decided_and_what_is_granted_revoked() {
        let open = page(request(RequestState::InReview));
        assert_eq!(Verdict::Grant.too_late(&open, 0), None);
        let done = page(granted(None, false, true));
        assert!(
            Verdict::Decline
                .too_late(&done, 0)
                .unwrap()
                .contains("granted by sup at 12:05")
        );
        assert_eq!(Verdict::Revoke.too_late(&done, 0), None);
        let over = page(granted(None, true, false));
        assert!(
            Verdict::Revoke
                .too_late(&over, 0)
                .unwrap()
                .contains("revoked by sup at 09:30")
        );
    }

    #[test]
    fn a_verdict_is_found_by_its_word_alone() {
        for verdict in [Verdict::Grant, Verdict::Decline, Verdict::Revoke] {
            assert_eq!(Verdict::of(verdict.word()), Some(verdict));
        }
        assert_eq!(Verdict::of("take"), None);
    }
}
