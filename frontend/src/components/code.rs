//! *Show as code*: what the form makes, for people who would rather write it down.

use leptos::prelude::*;

use super::copy::copy_button;
use super::dynamic;
use super::icon::{Icon, icon};
use crate::forms::code::{Sample, Tool};
use crate::i18n::{Key, t, tp};

/// The fold, for `tools`. `samples` follow the form; none while it cannot be sent.
pub fn show_as_code(tools: &'static [Tool], samples: Signal<Vec<Sample>>) -> AnyView {
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
    let text = dynamic(move || match shown.get() {
        Some(sample) => {
            let name = tp(Key::CodeFor, &[("tool", sample.tool.name())]);
            let note = (sample.tool == Tool::Curl)
                .then(|| view! { <p class="field__hint">{t(Key::CodeToken)}</p> }.into_any());
            view! {
                <div class="code__frame">
                    <pre class="code__text mono" tabindex="0" role="region" aria-label=name>
                        <code data-testid="code">{sample.text.clone()}</code>
                    </pre>
                    {copy_button(sample.text, t(Key::CodeWhat).to_owned())}
                </div>
                {note}
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
