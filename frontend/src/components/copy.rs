//! A value that people take elsewhere: monospace, with a button that copies it.

use leptos::prelude::*;

use super::dynamic;
use super::icon::{Icon, icon};
use super::toast::use_toasts;
use crate::browser;
use crate::i18n::{Key, t, tp};

/// The button alone. `what` names the value for those who do not see it.
pub fn copy_button(value: String, what: String) -> AnyView {
    let done = RwSignal::new(false);
    let toasts = use_toasts();
    let copy = move |event: leptos::ev::MouseEvent| {
        event.stop_propagation();
        let value = value.clone();
        leptos::task::spawn_local(async move {
            if browser::copy(value).await {
                toasts.announce(t(Key::Copied));
                done.try_set(true);
                browser::after(1_500, move || {
                    done.try_set(false);
                });
            } else {
                toasts.show(t(Key::CopyFailed).to_owned());
            }
        });
    };
    let label = tp(Key::CopyValue, &[("what", &what)]);
    view! {
        <button type="button" class="copy" class:copy--done=done title=label.clone() aria-label=label on:click=copy>
            {dynamic(move || icon(if done.get() { Icon::Check } else { Icon::Copy }))}
        </button>
    }
    .into_any()
}

/// The value, monospace, with its button.
pub fn copyable(value: String) -> AnyView {
    view! {
        <span class="copyable">
            <code class="copyable__value mono">{value.clone()}</code>
            {copy_button(value.clone(), value)}
        </span>
    }
    .into_any()
}
