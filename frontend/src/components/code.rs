//! *Show as code*: what the form makes, for people who would rather write it down.

use leptos::prelude::*;
use web_sys::HtmlElement;

use super::copy::copy_button;
use super::dynamic;
use super::icon::{Icon, icon};
use crate::api::url;
use crate::browser;
use crate::forms::code::{Sample, Tool};
use crate::i18n::{Key, t, tp};
use crate::session::use_project;

/// The fold, for `tools`. `samples` follow the form; none while it cannot be sent.
pub fn show_as_code(tools: &'static [Tool], samples: Signal<Vec<Sample>>) -> AnyView {
    let project = use_project();
    let chosen = RwSignal::new(0_usize);
    let shown = Memo::new(move |_| samples.with(|samples| samples.get(chosen.get()).cloned()));
    let button = move |(place, tool): (usize, &Tool)| {
        let pressed = move || (chosen.get() == place).to_string();
        view! {
            <button type="button" class="code__tool" aria-pressed=pressed on:click=move |_| chosen.set(place)>
                {tool.name()}
            </button>
        }
        .into_any()
    };
    let buttons: Vec<AnyView> = tools.iter().enumerate().map(button).collect();
    let text = dynamic(move || match hold_focus(shown.get()) {
        Some(sample) => {
            let name = tp(Key::CodeFor, &[("tool", sample.tool.name())]);
            let note = project.with(|project| note(sample.tool, project));
            view! {
                <div class="code__frame">
                    <pre class="code__text mono" tabindex="0" role="region" aria-label=name>
                        <code data-testid="code">{sample.text.clone()}</code>
                    </pre>
                    {copy_button(sample.text, t(Key::CodeWhat).to_owned())}
                </div>
                <p class="field__hint" data-testid="code-note">{note}</p>
            }
            .into_any()
        }
        None => view! { <p class="field__hint">{t(Key::CodeWaits)}</p> }.into_any(),
    });
    view! {
        <details class="code">
            <summary class="code__head">{icon(Icon::Chevron)} {t(Key::ShowAsCode)}</summary>
            <div class="code__tools" role="group" aria-label=t(Key::CodeTools)>
                {buttons}
            </div>
            {text}
        </details>
    }
    .into_any()
}

/// The note beside the code: how the tool logs in, and where.
fn note(tool: Tool, project: &str) -> String {
    let url = format!("{}{}", browser::origin(), url::IDENTITY);
    match tool.client() {
        Some(client) => tp(
            Key::CodeLogIn,
            &[("client", client), ("url", &url), ("project", project)],
        ),
        None => t(Key::CodeToken).to_owned(),
    }
}

/// Passes on what is shown next. If the focus is in the code that is replaced, it moves to the choice of tools;
/// otherwise keys would no longer reach the panel.
fn hold_focus(sample: Option<Sample>) -> Option<Sample> {
    let inside = |element: HtmlElement| matches!(element.closest(".code__frame"), Ok(Some(_)));
    if browser::focused().is_some_and(inside) {
        browser::soon(|| {
            browser::focus(".code__tool[aria-pressed=true]");
        });
    }
    sample
}
