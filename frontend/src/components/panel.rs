//! A panel over the page's right side: named, traps the focus, gives it back, asks before discarding.

use std::cell::RefCell;

use leptos::html;
use leptos::prelude::*;
use web_sys::HtmlElement;

use super::button::{Look, button, icon_button, sending_button};
use super::icon::Icon;
use super::toast::toasts_in_panel;
use super::{dynamic, unique_id};
use crate::browser;
use crate::i18n::{Key, t};

thread_local! {
    /// What had the focus before a panel opened. A panel that replaces another gives the focus back there too.
    static OPENER: RefCell<Option<HtmlElement>> = const { RefCell::new(None) };
}

/// What gets the focus back when the panel that opens now is closed.
fn opener() -> Option<HtmlElement> {
    let focused = browser::focused();
    let inside = |element: &HtmlElement| matches!(element.closest(".panel"), Ok(Some(_)));
    if !focused.as_ref().is_some_and(inside) {
        OPENER.set(focused);
    }
    OPENER.with_borrow(Clone::clone)
}

/// How a panel closes.
#[derive(Clone, Copy)]
pub struct Closing {
    /// Whether something typed would be lost.
    pub dirty: Signal<bool>,
    /// Closes it.
    pub close: Callback<()>,
    asking: RwSignal<bool>,
}

impl Closing {
    /// `dirty`: whether something typed would be lost.
    pub fn new(dirty: Signal<bool>, close: Callback<()>) -> Self {
        Self {
            dirty,
            close,
            asking: RwSignal::new(false),
        }
    }

    /// Withdraws the question and returns the focus to the form.
    fn keep(self) {
        self.asking.set(false);
        browser::soon(|| {
            let _ = browser::focus(".panel [data-first]") || browser::focus(".panel");
        });
    }

    /// Closes, or asks first.
    pub fn request(self) {
        if self.dirty.get_untracked() {
            self.asking.set(true);
            browser::soon(|| {
                browser::focus("[data-keep]");
            });
        } else {
            self.close.run(());
        }
    }
}

/// The panel. `foot` holds its buttons; while it asks whether to discard, the question is there instead.
pub fn panel(title: Signal<String>, closing: Closing, body: AnyView, foot: Box<dyn Fn() -> AnyView + Send>) -> AnyView {
    let heading = unique_id("panel");
    let labelled = heading.clone();
    let node = NodeRef::<html::Div>::new();
    let before = StoredValue::new_local(opener());
    Effect::new(move |_| {
        if node.get().is_some() {
            browser::soon(move || {
                let _ = browser::focus(".panel [data-first]") || browser::focus(".panel");
            });
        }
    });
    on_cleanup(move || {
        if let Some(element) = before.try_get_value().flatten() {
            browser::soon(move || {
                // That element may be gone, or may not take the focus; then the page's heading gets it.
                if !(element.is_connected() && element.tab_index() >= 0 && browser::focus_element(&element)) {
                    browser::focus("h1");
                }
            });
        }
    });
    let keys = move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
        "Escape" => {
            event.stop_propagation();
            event.prevent_default();
            if closing.asking.get_untracked() {
                closing.keep()
            } else {
                closing.request()
            }
        }
        "Tab" => {
            let Some(panel) = node.get_untracked() else { return };
            let inside = browser::focusable(&panel);
            let (Some(first), Some(last)) = (inside.first(), inside.last()) else {
                return;
            };
            let focused = browser::focused();
            let at = |element: &web_sys::HtmlElement| focused.as_ref() == Some(element);
            let outside = !inside.iter().any(at);
            let to = match event.shift_key() {
                true if at(first) || outside => last,
                false if at(last) || outside => first,
                _ => return,
            };
            event.prevent_default();
            browser::focus_element(to);
        }
        _ => {}
    };
    view! {
        <div
            class="panel-layer"
            on:mousedown=move |event| {
                if event.target() == event.current_target() {
                    closing.request();
                }
            }
        >
            <div
                node_ref=node
                class="panel"
                role="dialog"
                aria-modal="true"
                aria-labelledby=labelled
                tabindex="-1"
                on:keydown=keys
            >
                <header class="panel__head">
                    <h2 id=heading>{dynamic(move || title.get().into_any())}</h2>
                    {icon_button(
                        "button button--quiet button--icon",
                        Icon::Cross,
                        Key::Close,
                        Callback::new(move |()| closing.request()),
                    )}
                </header>
                <div class="panel__body">{body}</div>
                {toasts_in_panel()}
                <footer class="panel__foot">
                    {dynamic(move || if closing.asking.get() { question(closing) } else { foot() })}
                </footer>
            </div>
        </div>
    }
    .into_any()
}

/// Whether to discard what was typed.
fn question(closing: Closing) -> AnyView {
    view! {
        <div class="panel__discard" role="alertdialog" aria-label=t(Key::DiscardQuestion)>
            <p>{t(Key::DiscardQuestion)}</p>
            <button type="button" class="button" data-keep="" on:click=move |_| closing.keep()>
                {t(Key::KeepEditing)}
            </button>
            {button(Look::Danger, Key::Discard, closing.close)}
        </div>
    }
    .into_any()
}

/// The buttons of a form's panel: send, and cancel.
pub fn form_foot(send: Key, busy: RwSignal<bool>, press: Callback<()>, closing: Closing) -> AnyView {
    vec![
        sending_button(Look::Primary, send, busy, press),
        button(Look::Plain, Key::Cancel, Callback::new(move |()| closing.request())),
    ]
    .into_any()
}

/// A form that is sent by Enter as well; its buttons are the panel's.
pub fn form(parts: Vec<AnyView>, send: Callback<()>) -> AnyView {
    view! {
        <form
            novalidate
            on:submit=move |event| {
                event.prevent_default();
                send.run(());
            }
        >
            {parts}
            <button type="submit" hidden></button>
        </form>
    }
    .into_any()
}
