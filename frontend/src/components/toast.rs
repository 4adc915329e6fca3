//! Short messages: seen for a moment, and told to screen readers.

use leptos::prelude::*;

use super::button::icon_button;
use super::dynamic;
use super::icon::Icon;
use crate::browser;
use crate::i18n::Key;

/// How long a message stays (milliseconds).
const STAYS: i32 = 6_000;

/// The messages of this application.
#[derive(Clone, Copy)]
pub struct Toasts {
    shown: RwSignal<Vec<(u32, String)>>,
    next: StoredValue<u32>,
    spoken: RwSignal<String>,
}

impl Toasts {
    /// Provides them to everything below.
    pub fn provide() -> Self {
        let toasts = Self {
            shown: RwSignal::new(Vec::new()),
            next: StoredValue::new(0),
            spoken: RwSignal::new(String::new()),
        };
        provide_context(toasts);
        toasts
    }

    /// Shows a message for a moment.
    pub fn show(self, text: String) {
        let Some(id) = self.next.try_update_value(|next| {
            *next += 1;
            *next
        }) else {
            return;
        };
        self.shown.update(|shown| shown.push((id, text)));
        browser::after(STAYS, move || self.close(id));
    }

    /// Tells screen readers alone.
    pub fn announce(self, text: &str) {
        // The same words twice are told twice only if they differ.
        let again = self.spoken.with_untracked(|spoken| spoken == text);
        self.spoken.set(if again {
            format!("{text}\u{a0}")
        } else {
            text.to_owned()
        });
    }

    fn close(self, id: u32) {
        self.shown.try_update(|shown| shown.retain(|(other, _)| *other != id));
    }
}

/// The messages of this application.
pub fn use_toasts() -> Toasts {
    expect_context::<Toasts>()
}

/// Where they appear. Once, at the end of the page.
pub fn toasts() -> AnyView {
    let toasts = use_toasts();
    view! {
        <div class="visually-hidden" aria-live="polite">{dynamic(move || toasts.spoken.get().into_any())}</div>
        <div class="toasts" role="status" aria-live="polite">
            {dynamic(move || {
                let message = |(id, text): (u32, String)| {
                    let close = Callback::new(move |()| toasts.close(id));
                    view! { <div class="toast"><p>{text}</p> {icon_button("copy", Icon::Cross, Key::Close, close)}</div> }
                        .into_any()
                };
                toasts.shown.get().into_iter().map(message).collect::<Vec<AnyView>>().into_any()
            })}
        </div>
    }
    .into_any()
}
