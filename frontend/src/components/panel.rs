//! A panel over the page's right side: named, traps the focus, gives it back, asks before discarding.

use leptos::html;
use leptos::prelude::*;

use super::icon::{Icon, icon};
use super::unique_id;
use crate::browser;
use crate::i18n::{Key, t};

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
        Self { dirty, close, asking: RwSignal::new(false) }
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
pub fn panel(
    title: Signal<String>,
    closing: Closing,
    body: impl IntoView + 'static,
    foot: impl Fn() -> AnyView + Send + 'static,
) -> impl IntoView {
    let heading = unique_id("panel");
    let labelled = heading.clone();
    let node = NodeRef::<html::Div>::new();
    let before = StoredValue::new_local(browser::focused());
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
                // Where it came from may be gone; then the page's heading is the next best place.
                if !(element.is_connected() && browser::focus_element(&element)) {
                    browser::focus("h1");
                }
            });
        }
    });
    let keys = move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
        "Escape" => {
            event.stop_propagation();
            event.prevent_default();
            if closing.asking.get_untracked() { closing.asking.set(false) } else { closing.request() }
        }
        "Tab" => {
            let Some(panel) = node.get_untracked() else { return };
            let inside = browser::focusable(&panel);
            let (Some(first), Some(last)) = (inside.first(), inside.last()) else { return };
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
                    <h2 id=heading>{title}</h2>
                    <button
                        type="button"
                        class="button button--quiet button--icon"
                        aria-label=t(Key::Close)
                        on:click=move |_| closing.request()
                    >
                        {icon(Icon::Cross)}
                    </button>
                </header>
                <div class="panel__body">{body}</div>
                <footer class="panel__foot">
                    {move || {
                        if !closing.asking.get() {
                            return foot();
                        }
                        view! {
                            <div class="panel__discard" role="alertdialog" aria-label=t(Key::DiscardQuestion)>
                                <p>{t(Key::DiscardQuestion)}</p>
                                <button
                                    type="button"
                                    class="button"
                                    data-keep=""
                                    on:click=move |_| closing.asking.set(false)
                                >
                                    {t(Key::KeepEditing)}
                                </button>
                                <button
                                    type="button"
                                    class="button button--danger"
                                    on:click=move |_| closing.close.run(())
                                >
                                    {t(Key::Discard)}
                                </button>
                            </div>
                        }
                            .into_any()
                    }}
                </footer>
            </div>
        </div>
    }
}
