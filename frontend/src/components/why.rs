//! Chains of what must hold, such as that behind a port's status.

use leptos::prelude::*;
use portolan_shared::status::{Reason, Step, StepState};
use portolan_shared::v1::WhyStep;

use super::icon::{Icon, icon};
use super::status::{reason_view, shape};
use super::time::use_clock;
use crate::i18n::{Key, t};
use crate::table::Tone;

/// What a step is called.
pub fn step_name(step: Step) -> Key {
    match step {
        Step::Enabled => Key::StepEnabled,
        Step::Addressed => Key::StepAddressed,
        Step::NodeKnown => Key::StepNodeKnown,
        Step::NodeOnline => Key::StepNodeOnline,
        Step::Received => Key::StepReceived,
        Step::Applied => Key::StepApplied,
        Step::Reached => Key::StepReached,
    }
}

/// What the reader can do about a reason, by its code; `None` where there is no advice.
pub fn advice(code: &str) -> Option<Key> {
    Some(match code {
        "port.disabled" => Key::AdviceDisabled,
        "port.no_address" => Key::AdviceNoAddress,
        "port.not_attached" => Key::AdviceNotAttached,
        "port.node_expected" => Key::AdviceNodeExpected,
        "node.waits" => Key::AdviceNodeFound,
        "port.node_silent" => Key::AdviceNodeSilent,
        "port.node_behind" => Key::AdviceNodeBehind,
        "port.kernel_refused" => Key::AdviceKernelRefused,
        "port.healing_paused" => Key::AdviceHealingPaused,
        "port.not_reached" => Key::AdviceNotReached,
        "port.path_fails" => Key::AdvicePathFails,
        _ => return None,
    })
}

/// The chain behind a port's status.
pub fn why_chain(steps: &[WhyStep]) -> AnyView {
    let links = steps.iter().map(|step| {
        let advice = step.reason.as_ref().and_then(|reason| advice(&reason.code));
        Link {
            name: step_name(step.step),
            state: step.state,
            reason: step.reason.clone(),
            note: advice.map(|advice| t(advice).into_any()),
        }
    });
    chain(Key::Why, links.collect())
}

/// One link of a chain.
pub struct Link {
    /// What it is called.
    pub name: Key,
    /// How it stands.
    pub state: StepState,
    /// Why it does not hold.
    pub reason: Option<Reason>,
    /// What else there is to say of it.
    pub note: Option<AnyView>,
}

/// A chain: what holds, the first that does not, what was not looked at.
pub fn chain(label: Key, links: Vec<Link>) -> AnyView {
    let items: Vec<AnyView> = links.into_iter().map(link_view).collect();
    view! { <ol class="why" aria-label=t(label)>{items}</ol> }.into_any()
}

/// One link.
fn link_view(link: Link) -> AnyView {
    let clock = use_clock();
    let (class, mark, word) = match link.state {
        StepState::Ok => ("passed", icon(Icon::Check), Key::StepOk),
        StepState::Failed => ("failed", icon(Icon::Cross), Key::StepFailed),
        StepState::Waiting => ("waiting", icon(Icon::Clock), Key::StepWaiting),
        StepState::Unknown => ("unknown", shape(Tone::Idle), Key::StepUnknown),
    };
    let mut texts = Vec::new();
    if let Some(reason) = link.reason {
        let reason = reason_view("", reason, clock);
        texts.push(view! { <p class="why__text">{reason}</p> }.into_any());
    }
    if let Some(note) = link.note {
        texts.push(view! { <p class="why__text">{note}</p> }.into_any());
    }
    view! {
        <li class=format!("why__step why__step--{class}")>
            <span class="why__mark">{mark}</span>
            <div>
                <p class="why__name">{t(link.name)} <span class="visually-hidden">": " {t(word)}</span></p>
                {texts}
            </div>
        </li>
    }
    .into_any()
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
