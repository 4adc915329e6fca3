//! Short messages: seen for a moment, and told to screen readers.

use leptos::html;
use leptos::prelude::*;

use super::button::icon_button;
use super::dynamic;
use super::icon::Icon;
use crate::browser;
use crate::i18n::Key;

/// How long a message stays (milliseconds).
const STAYS: i32 = 6_000;

/// Space below the messages, and above them (CSS pixels).
const MARGIN: i32 = 16;

/// The messages of this application.
#[derive(Clone, Copy)]
pub struct Toasts {
    shown: RwSignal<Vec<(u32, String)>>,
    next: StoredValue<u32>,
    spoken: RwSignal<String>,
    /// Panels that are open, each with a place for messages of its own.
    panels: RwSignal<u32>,
}

impl Toasts {
    /// Provides them to everything below.
    pub fn provide() -> Self {
        let toasts = Self {
            shown: RwSignal::new(Vec::new()),
            next: StoredValue::new(0),
            spoken: RwSignal::new(String::new()),
            panels: RwSignal::new(0),
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
        // Screen readers announce the same words again only if the text differs.
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

/// Where they appear while no panel is open. Once, at the end of the page.
pub fn toasts() -> AnyView {
    let toasts = use_toasts();
    let node = NodeRef::new();
    let here = Signal::derive(move || match toasts.panels.get() {
        0 => toasts.shown.get(),
        _ => Vec::new(),
    });
    // Tells the page how much room they take, so that it can be scrolled to its end.
    Effect::new(move |_| {
        here.track();
        browser::soon(move || {
            let height = node.try_get_untracked().flatten().map_or(0, height);
            browser::set_variable("--toasts", &format!("{height}px"));
        });
    });
    view! {
        <div class="visually-hidden" aria-live="polite">{dynamic(move || toasts.spoken.get().into_any())}</div>
        {messages("toasts toasts--page", node, here)}
    }
    .into_any()
}

/// Shows the messages inside an open panel: in its flow, so that they hide nothing, and where screen readers look then.
pub fn toasts_in_panel() -> AnyView {
    let toasts = use_toasts();
    toasts.panels.update(|panels| *panels += 1);
    on_cleanup(move || {
        toasts.panels.try_update(|panels| *panels -= 1);
    });
    messages("toasts toasts--panel", NodeRef::new(), toasts.shown.into())
}

/// The messages; none of them covers what has the focus.
fn messages(class: &'static str, node: NodeRef<html::Div>, shown: Signal<Vec<(u32, String)>>) -> AnyView {
    let toasts = use_toasts();
    Effect::new(move |_| {
        shown.track();
        browser::soon(move || {
            if let Some(node) = node.try_get_untracked().flatten() {
                browser::uncover_focused(&node);
            }
        });
    });
    let list = dynamic(move || {
        let message = |(id, text): (u32, String)| {
            let close = Callback::new(move |()| toasts.close(id));
            view! { <div class="toast"><p>{text}</p> {icon_button("copy", Icon::Cross, Key::Close, close)}</div> }
                .into_any()
        };
        shown
            .get()
            .into_iter()
            .map(message)
            .collect::<Vec<AnyView>>()
            .into_any()
    });
    view! {
        <div node_ref=node class=class role="status" aria-live="polite">
            {list}
        </div>
    }
    .into_any()
}

/// Pixels from the top of the messages to the end of the window.
fn height(node: web_sys::HtmlDivElement) -> i32 {
    match node.offset_height() {
        0 => 0,
        height => height + 2 * MARGIN,
    }
}
