//! *Show as code*: what the form makes, for people who would rather write it down.

use leptos::prelude::*;

use super::copy::copy_button;
use super::dynamic;
use super::icon::{Icon, icon};
use crate::forms::code::{Sample, Tool};
use crate::i18n::{Key, t, tp};

/// The fold. `samples` follow the form; none while it cannot be sent.
pub fn show_as_code(samples: Signal<Vec<Sample>>, open: bool) -> AnyView {
    let chosen = RwSignal::new(0_usize);
    let tools =
        Memo::new(move |_| samples.with(|samples| samples.iter().map(|sample| sample.tool).collect::<Vec<_>>()));
    let shown = Memo::new(move |_| {
        samples.with(|samples| {
            let sample = samples.get(chosen.get()).or_else(|| samples.first());
            sample.cloned()
        })
    });
    let button = move |(place, tool): (usize, Tool)| {
        let pressed = move || (chosen.get() == place).to_string();
        view! {
            <button type="button" class="code__tool" aria-pressed=pressed on:click=move |_| chosen.set(place)>
                {tool.name()}
            </button>
        }
        .into_any()
    };
    let bar = dynamic(move || {
        let tools = tools.get();
        let buttons: Vec<AnyView> = tools.into_iter().enumerate().map(button).collect();
        view! {
            <div class="code__tools" role="group" aria-label=t(Key::CodeTools)>
                {buttons}
            </div>
        }
        .into_any()
    });
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
        <details class="code" open=open>
            <summary class="code__head">{icon(Icon::Chevron)} {t(Key::ShowAsCode)}</summary>
            {bar}
            {text}
        </details>
    }
    .into_any()
}
