//! The chain behind a port's status: what holds, the first that does not, what was not looked at.

use leptos::prelude::*;
use portolan_shared::status::{Step, StepState};
use portolan_shared::v1::WhyStep;

use super::icon::{Icon, icon};
use super::status::reason_text;
use super::time::use_clock;
use crate::i18n::{Key, t};

/// What a step is called.
pub fn step_name(step: Step) -> Key {
    match step {
        Step::Enabled => Key::StepEnabled,
        Step::Addressed => Key::StepAddressed,
        Step::NodeKnown => Key::StepNodeKnown,
        Step::NodeOnline => Key::StepNodeOnline,
        Step::Received => Key::StepReceived,
        Step::Applied => Key::StepApplied,
    }
}

/// What one can do about a reason, by its code; `None` where there is nothing to say.
pub fn advice(code: &str) -> Option<Key> {
    Some(match code {
        "port.disabled" => Key::AdviceDisabled,
        "port.no_address" => Key::AdviceNoAddress,
        "port.not_attached" => Key::AdviceNotAttached,
        "port.node_expected" => Key::AdviceNodeExpected,
        "port.node_silent" => Key::AdviceNodeSilent,
        "port.node_behind" => Key::AdviceNodeBehind,
        "port.kernel_refused" => Key::AdviceKernelRefused,
        _ => return None,
    })
}

/// The chain.
pub fn why_chain(steps: &[WhyStep]) -> impl IntoView + use<> {
    let clock = use_clock();
    let items = steps
        .iter()
        .cloned()
        .map(|step| {
            let (class, mark, word) = match step.state {
                StepState::Ok => ("passed", Some(Icon::Check), Key::StepOk),
                StepState::Failed => ("failed", Some(Icon::Cross), Key::StepFailed),
                StepState::Waiting => ("waiting", Some(Icon::Clock), Key::StepWaiting),
                StepState::Unknown => ("unknown", None, Key::StepUnknown),
            };
            let advice = step.reason.as_ref().and_then(|reason| advice(&reason.code));
            view! {
                <li class=format!("why__step why__step--{class}") data-step=format!("{:?}", step.step)>
                    <span class="why__mark">
                        {match mark {
                            Some(mark) => icon(mark).into_any(),
                            None => view! { <span aria-hidden="true">"·"</span> }.into_any(),
                        }}
                    </span>
                    <div>
                        <p class="why__name">
                            {t(step_name(step.step))} <span class="visually-hidden">": " {t(word)}</span>
                        </p>
                        {step
                            .reason
                            .map(|reason| {
                                let code = reason.code.clone();
                                view! {
                                    <p class="why__text" data-code=code>
                                        {move || reason_text(&reason, clock.now(), clock.zone())}
                                    </p>
                                }
                            })}
                        {advice.map(|advice| view! { <p class="why__text">{t(advice)}</p> })}
                    </div>
                </li>
            }
        })
        .collect_view();
    view! { <ol class="why" aria-label=t(Key::Why)>{items}</ol> }
}

#[cfg(test)]
mod tests {
    use portolan_shared::status::Cause;

    use super::*;

    #[test]
    fn every_cause_comes_with_what_one_can_do() {
        for code in Cause::CODES {
            assert!(advice(code).is_some(), "{code}");
        }
    }
}
