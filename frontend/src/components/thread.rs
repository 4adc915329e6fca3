//! What both sides have written to each other, oldest first.

use leptos::prelude::*;
use portolan_shared::v1::{Message, Side};

use super::icon::{Icon, icon};
use super::time::time;
use super::{maybe, nothing};
use crate::i18n::{Key, t};

/// Who wrote a message and on which side, as far as the reader may know. `me` is the reader's name.
pub fn author(message: &Message, me: &str) -> (String, Option<Key>) {
    let side = match message.side {
        Side::Customer => Key::ThreadCustomer,
        Side::Support => Key::ThreadSupport,
    };
    match &message.author {
        None => (t(side).to_owned(), None),
        Some(name) if name == me => (t(Key::ThreadYou).to_owned(), Some(side)),
        Some(name) => (name.clone(), Some(side)),
    }
}

/// The messages, as somebody of `reader`'s side reads them. Each message keeps its element, so that screen readers
/// announce only new ones.
pub fn thread(messages: Signal<Vec<Message>>, me: Signal<String>, reader: Side) -> AnyView {
    let message = move |message: Message| {
        let (name, side) = author(&message, &me.get_untracked());
        let class = match (message.internal, message.side) {
            (true, _) => "message message--internal",
            (false, side) if side == reader => "message message--own",
            (false, _) => "message",
        };
        let side = side.map(|side| view! { <span class="message__side">{t(side)}</span> }.into_any());
        let internal = match message.internal {
            true => view! {
                <p class="message__internal">
                    {icon(Icon::Note)} <strong>{t(Key::InternalNote)}</strong> " " <span>{t(Key::InternalNoteHint)}</span>
                </p>
            }
            .into_any(),
            false => nothing(),
        };
        view! {
            <li class=class data-testid=if message.internal { "note" } else { "message" }>
                {internal}
                <p class="message__head">
                    <span class="message__author">{name}</span>
                    {side}
                    <span class="message__time">{time(message.at.clone())}</span>
                </p>
                <p class="message__text">{message.text}</p>
            </li>
        }
        .into_any()
    };
    let empty = maybe(move || {
        let empty = messages.with(Vec::is_empty);
        empty.then(|| view! { <p class="muted">{t(Key::ThreadEmpty)}</p> }.into_any())
    });
    view! {
        {empty}
        <div role="log" aria-label=t(Key::Thread)>
            <ol class="thread">
                <For each=move || messages.get() key=|message| message.id children=message />
            </ol>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(side: Side, author: Option<&str>) -> Message {
        Message {
            id: "01930000-0000-7000-8000-000000000001".parse().unwrap(),
            at: String::new(),
            side,
            author: author.map(str::to_owned),
            internal: false,
            text: String::new(),
        }
    }

    #[test]
    fn support_is_support_to_those_who_may_not_know_who() {
        let said = |message: &Message| author(message, "demo");
        assert_eq!(said(&message(Side::Support, None)), ("Support".to_owned(), None));
        assert_eq!(
            said(&message(Side::Customer, Some("demo"))),
            ("You".to_owned(), Some(Key::ThreadCustomer))
        );
        assert_eq!(
            said(&message(Side::Support, Some("anna"))),
            ("anna".to_owned(), Some(Key::ThreadSupport))
        );
    }
}
