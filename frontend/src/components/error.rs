//! What went wrong: the sentence, the code and the request for support, and *Try again*.

use leptos::prelude::*;

use super::copy::copy_button;
use super::icon::{Icon, icon};
use crate::api::Failure;
use crate::i18n::{Key, t};

/// The block. `again`: what *Try again* does, where that makes sense.
pub fn error_block(failure: &Failure, again: Option<Callback<()>>) -> impl IntoView + use<> {
    let (code, request) = (failure.code.clone(), failure.request_id.clone());
    view! {
        <div class="error" role="alert">
            <p class="error__sentence">{failure.sentence()}</p>
            {(!code.is_empty() || !request.is_empty())
                .then(|| {
                    view! {
                        <p class="error__details">
                            {(!code.is_empty()).then(|| view! { <code class="mono">{code}</code> })}
                            {(!request.is_empty())
                                .then(|| {
                                    view! {
                                        <span class="copyable">
                                            <code class="mono">{request.clone()}</code>
                                            {copy_button(request, t(Key::RequestId).to_owned())}
                                        </span>
                                    }
                                })}
                        </p>
                    }
                })}
            {again
                .map(|again| {
                    view! {
                        <button type="button" class="button button--small" on:click=move |_| again.run(())>
                            {t(Key::TryAgain)}
                        </button>
                    }
                })}
        </div>
    }
}

/// A remark above something: amber, with a shape.
pub fn notice(text: String) -> impl IntoView {
    view! {
        <p class="notice" role="status">
            {icon(Icon::Warning)} <span>{text}</span>
        </p>
    }
}
