//! Short messages: seen for a moment, and told to screen readers.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::browser;
use crate::i18n::{Key, t};

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
        let toasts =
            Self { shown: RwSignal::new(Vec::new()), next: StoredValue::new(0), spoken: RwSignal::new(String::new()) };
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
        self.spoken.set(if again { format!("{text}\u{a0}") } else { text.to_owned() });
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
pub fn toasts() -> impl IntoView {
    let toasts = use_toasts();
    view! {
        <div class="visually-hidden" aria-live="polite">{toasts.spoken}</div>
        <div class="toasts" role="status" aria-live="polite">
            <For each=move || toasts.shown.get() key=|(id, _)| *id let:item>
                <div class="toast">
                    <p>{item.1}</p>
                    <button
                        type="button"
                        class="copy"
                        aria-label=t(Key::Close)
                        on:click=move |_| toasts.close(item.0)
                    >
                        {icon(Icon::Cross)}
                    </button>
                </div>
            </For>
        </div>
    }
}
