//! *Create network*: a name and what it is for.

use portolan_shared::check;

use crate::api::Failure;
use crate::components::field::Message;
use crate::i18n::{Key, t, tp};

/// What stands under the name.
pub fn name_message(name: &str, taken: &[String]) -> Option<Message> {
    match check::text("name", name, check::NAME_MAX) {
        Err(refusal) => Some(Message::error(Failure::from_refusal(&refusal).sentence())),
        Ok(name) if name.is_empty() => Some(Message::error(t(Key::NameNeeded))),
        Ok(name) if taken.contains(&name) => Some(Message::warning(tp(Key::NameTakenWarning, &[("name", &name)]))),
        Ok(_) => None,
    }
}

/// What stands under a description.
pub fn description_message(text: &str) -> Option<Message> {
    let refusal = check::text("description", text, check::NAME_MAX).err()?;
    Some(Message::error(Failure::from_refusal(&refusal).sentence()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::field::Weight;

    #[test]
    fn a_name_twice_is_a_warning_and_none_is_an_error() {
        let taken = ["shop".to_owned()];
        assert_eq!(name_message("web", &taken), None);
        assert_eq!(
            name_message(" shop ", &taken).map(|message| message.weight),
            Some(Weight::Warning)
        );
        assert_eq!(
            name_message("  ", &taken).map(|message| message.weight),
            Some(Weight::Error)
        );
        assert_eq!(
            name_message(&"x".repeat(256), &taken).map(|message| message.weight),
            Some(Weight::Error)
        );
    }
}
