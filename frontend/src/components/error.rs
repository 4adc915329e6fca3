//! What went wrong: the sentence, the code and the request for support, and *Try again*.

use leptos::prelude::*;

use super::button::{Look, button};
use super::copy::copyable;
use super::holders::holder_links;
use super::icon::{Icon, icon};
use super::maybe;
use crate::api::Failure;
use crate::i18n::Key;

/// The block. `again`: what *Try again* does, where that makes sense.
pub fn error_block(failure: &Failure, again: Option<Callback<()>>) -> AnyView {
    let mut details = Vec::new();
    if !failure.code.is_empty() {
        details.push(view! { <code class="mono">{failure.code.clone()}</code> }.into_any());
    }
    if !failure.request_id.is_empty() {
        details.push(copyable(failure.request_id.clone()));
    }
    let mut parts = vec![view! { <p class="error__sentence">{failure.sentence()}</p> }.into_any()];
    parts.extend(holder_links(&failure.params));
    if !details.is_empty() {
        parts.push(view! { <p class="error__details">{details}</p> }.into_any());
    }
    parts.extend(again.map(|again| button(Look::Plain, Key::TryAgain, again)));
    view! { <div class="error" role="alert">{parts}</div> }.into_any()
}

/// The block on top of a form, while there is a failure.
pub fn form_error(failure: impl Into<Signal<Option<Failure>>>) -> AnyView {
    let failure: Signal<Option<Failure>> = failure.into();
    maybe(move || {
        let block = error_block(&failure.get()?, None);
        Some(view! { <div class="error--inline">{block}</div> }.into_any())
    })
}

/// A remark above something: amber, with a shape.
pub fn notice(text: String) -> AnyView {
    view! {
        <p class="notice" role="status">
            {icon(Icon::Warning)} <span>{text}</span>
        </p>
    }
    .into_any()
}
