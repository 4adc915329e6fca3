//! How far something is on its way: a few steps in a row, one of them now.

use leptos::prelude::*;

use super::status::shape;
use crate::i18n::{Key, t};
use crate::table::Tone;

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepMark {
    /// Behind.
    Done,
    /// Here, and how that is.
    Now(Tone),
    /// Ahead.
    Next,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is called.
    pub title: Key,
    /// How it stands.
    pub mark: StepMark,
}

/// The steps in a row.
pub fn step_bar(label: Key, steps: Vec<Step>) -> AnyView {
    let items: Vec<AnyView> = steps
        .into_iter()
        .map(|step| {
            let (class, drawing, said, now) = match step.mark {
                StepMark::Done => ("step step--done".to_owned(), shape(Tone::Active), Key::StepDone, false),
                StepMark::Now(tone) => (
                    format!("step step--now status--{}", tone.as_str()),
                    shape(tone),
                    Key::StepNow,
                    true,
                ),
                StepMark::Next => ("step step--next".to_owned(), shape(Tone::Idle), Key::StepNext, false),
            };
            view! {
                <li class=class aria-current=now.then_some("step")>
                    {drawing}
                    <span class="step__title">{t(step.title)}</span>
                    <span class="visually-hidden">{t(said)}</span>
                </li>
            }
            .into_any()
        })
        .collect();
    view! {
        <ol class="steps" aria-label=t(label) data-testid="steps">
            {items}
        </ol>
    }
    .into_any()
}
