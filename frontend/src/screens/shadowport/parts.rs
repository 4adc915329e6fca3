//! What pages of requests share: the way of a request, its decision, the composer.

use leptos::prelude::*;
use portolan_shared::v1::{Decision, PostMessage, RequestState, ShadowRequest, Side, TEXT_MAX};

use super::status;
use crate::api::use_act;
use crate::components::button::{Look, sending_button};
use crate::components::error::form_error;
use crate::components::field::{LINE, Look as FieldLook, Message, check_field, text_field};
use crate::components::steps::step_bar;
use crate::components::time::time;
use crate::components::toast::use_toasts;
use crate::components::{dynamic, maybe, nothing};
use crate::forms::request::{count_text, text_message};
use crate::i18n::{Key, t};

/// How far the request is, where it stands, and what happens next.
pub fn way(request: &ShadowRequest, reader: Side, zone: i64) -> AnyView {
    view! {
        {step_bar(Key::RequestState, status::steps(request))}
        <div class="standing" data-testid="standing">
            <p>
                <strong>{status::sentence(request, reader, zone)}</strong>
            </p>
            <p>
                <span class="visually-hidden">{t(Key::WhatNext)} ": "</span>
                {t(status::next(request, reader))}
            </p>
        </div>
    }
    .into_any()
}

/// What was decided, as it was said to the customer.
pub fn decision(decision: &Decision, word: Key) -> AnyView {
    let by = decision.by.clone().unwrap_or_else(|| t(Key::BySupport).to_owned());
    let message = match &decision.message {
        Some(message) => view! { <p class="message__text">{message.clone()}</p> }.into_any(),
        None => nothing(),
    };
    view! {
        <div class="decision" data-testid="decision">
            <p class="message__head">
                <span class="message__author">{t(word)}</span>
                <span class="message__side">{by}</span>
                <span class="message__time">{time(decision.at.clone())}</span>
            </p>
            {message}
        </div>
    }
    .into_any()
}

/// Everything that was decided about a request: the decision, and that its grant was revoked.
pub fn decisions(request: &ShadowRequest) -> Vec<AnyView> {
    let word = match request.state {
        RequestState::Granted => Key::StateGranted,
        RequestState::Declined => Key::StateDeclined,
        RequestState::Withdrawn => Key::StateWithdrawn,
        RequestState::New | RequestState::InReview => return Vec::new(),
    };
    let revoked = request.grant.as_ref().and_then(|grant| grant.revoked.as_ref());
    let first = request.decided.as_ref().map(|decided| decision(decided, word));
    let second = revoked.map(|revoked| decision(revoked, Key::StateRevoked));
    first.into_iter().chain(second).collect()
}

/// A text area with a count under it.
pub fn writing(
    name: &'static str,
    label: Key,
    look: FieldLook,
    value: RwSignal<String>,
    message: Signal<Option<Message>>,
    hint: Option<Key>,
) -> AnyView {
    let count = dynamic(move || value.with(|value| count_text(value)).into_any());
    view! {
        <div class="writing">
            {text_field(name, label, FieldLook { lines: look.lines.max(3), ..look }, value, message, hint)}
            <p class="writing__count">{count}</p>
        </div>
    }
    .into_any()
}

/// Where the messages of a thread are sent.
#[derive(Clone, Copy)]
pub struct Composer {
    /// Whose project.
    pub project: Signal<String>,
    /// Takes messages.
    pub messages: Signal<String>,
    /// Takes questions that wait for an answer; empty: there is nothing to ask.
    pub ask: Signal<String>,
    /// Whether the writer may keep a note that the customer never sees.
    pub notes: bool,
}

/// The composer under a thread.
pub fn composer(of: Composer) -> AnyView {
    let toasts = use_toasts();
    let act = use_act();
    let (text, internal, tried) = (RwSignal::new(String::new()), RwSignal::new(false), RwSignal::new(false));
    let message = Signal::derive(move || {
        let message = text.with(|text| text_message(text, 1, Key::MessageEmpty));
        // Before the first try to send, only a text that is too long gets a message.
        message.filter(|_| tried.get() || text.with(|text| text.chars().count() > TEXT_MAX))
    });
    let send = move |url: Signal<String>, done: Key| {
        if text
            .with_untracked(|text| text_message(text, 1, Key::MessageEmpty))
            .is_some()
        {
            tried.set(true);
            crate::browser::focus(".composer textarea");
            return;
        }
        let body = PostMessage {
            text: text.get_untracked().trim().to_owned(),
            internal: internal.get_untracked(),
        };
        let sent = move |_| {
            text.set(String::new());
            internal.set(false);
            tried.set(false);
            toasts.announce(t(done));
            crate::browser::focus(".composer textarea");
        };
        act.post(of.project.get_untracked(), url.get_untracked(), &body, sent);
    };
    let press = move |url: Signal<String>, done: Key| Callback::new(move |()| send(url, done));
    let buttons = dynamic(move || {
        let note = internal.get();
        let asks = of.ask.with(|ask| !ask.is_empty()) && !note;
        let mut parts = Vec::new();
        if asks {
            parts.push(sending_button(
                Look::Primary,
                Key::Ask,
                act.busy,
                press(of.ask, Key::AskSent),
            ));
        }
        let (label, done) = match note {
            true => (Key::SaveNote, Key::NoteSaved),
            false => (Key::SendMessage, Key::MessageSent),
        };
        let look = if asks { Look::Plain } else { Look::Primary };
        parts.push(sending_button(look, label, act.busy, press(of.messages, done)));
        parts.into_any()
    });
    let field = dynamic(move || {
        let label = if internal.get() {
            Key::WriteNote
        } else {
            Key::WriteMessage
        };
        writing("text", label, LINE, text, message, None)
    });
    let hint = maybe(move || {
        let asks = of.ask.with(|ask| !ask.is_empty()) && !internal.get();
        asks.then(|| view! { <p class="field__hint">{t(Key::AskHint)}</p> }.into_any())
    });
    let note = match of.notes {
        true => check_field(Key::InternalNote, Some(Key::InternalNoteHint), internal),
        false => nothing(),
    };
    view! {
        <form
            class="composer"
            class:composer--internal=internal
            novalidate
            on:submit=move |event| event.prevent_default()
        >
            {form_error(act.failure)}
            {field}
            {note}
            {hint}
            <div class="composer__buttons">{buttons}</div>
        </form>
    }
    .into_any()
}
