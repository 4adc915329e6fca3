//! *Create network*: a name, what it is for, and where its machines may go.

use portolan_shared::check;

use crate::api::Failure;
use crate::api::bodies::NetworkSpec;
use crate::components::field::Message;
use crate::i18n::{Key, t, tp};

/// The form as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    /// As typed; the form requires one.
    pub name: String,
    /// Free text, as typed; more than [`check::NAME_MAX`] characters are refused.
    pub description: String,
    /// Whether its machines may reach the internet.
    pub internet: bool,
    /// Whether they may reach the provider's services without it.
    pub services: bool,
}

/// What is to be said about the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What would be sent; `None` while something is wrong.
    pub spec: Option<NetworkSpec>,
    /// Under the name.
    pub name: Option<Message>,
    /// Under the description.
    pub description: Option<Message>,
}

/// Everything there is to say about the form. `granted`: whether the project may use the provider's
/// services; internet access excludes them.
pub fn check(typed: &Typed, taken: &[String], granted: bool) -> Checked {
    let said = |refusal| Message::error(Failure::from_refusal(&refusal).sentence());
    let mut checked = Checked::default();
    let name = match check::text("name", &typed.name, check::NAME_MAX) {
        Err(refusal) => Err(said(refusal)),
        Ok(name) if name.is_empty() => Err(Message::error(t(Key::NameNeeded))),
        Ok(name) => {
            if taken.contains(&name) {
                checked.name = Some(Message::warning(tp(Key::NameTakenWarning, &[("name", &name)])));
            }
            Ok(name)
        }
    };
    let name = name.map_err(|message| checked.name = Some(message));
    let description = check::text("description", &typed.description, check::NAME_MAX)
        .map_err(|refusal| checked.description = Some(said(refusal)));
    if let (Ok(name), Ok(description)) = (name, description) {
        checked.spec = Some(NetworkSpec {
            name,
            description,
            internet: typed.internet,
            services: typed.services && granted && !typed.internet,
        });
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::components::field::Weight;

    fn typed(name: &str) -> Typed {
        Typed {
            name: name.into(),
            description: String::new(),
            internet: false,
            services: true,
        }
    }

    #[test]
    fn a_name_twice_is_a_warning_and_none_is_an_error() {
        let taken = ["shop".to_owned()];
        let weight = |name: &str| {
            let checked = check(&typed(name), &taken, true);
            (checked.name.map(|message| message.weight), checked.spec.is_some())
        };
        assert_eq!(weight("web"), (None, true));
        assert_eq!(weight(" shop "), (Some(Weight::Warning), true));
        assert_eq!(weight("  "), (Some(Weight::Error), false));
        assert_eq!(weight(&"x".repeat(256)), (Some(Weight::Error), false));
    }

    #[test]
    fn services_need_a_grant_and_no_internet_access() {
        let services = |typed: &Typed, granted| check(typed, &[], granted).spec.unwrap().services;
        assert!(services(&typed("web"), true));
        assert!(!services(&typed("web"), false));
        let both = Typed {
            internet: true,
            ..typed("web")
        };
        assert!(!services(&both, true), "the box is out of reach then");
    }

    #[test]
    fn a_long_description_is_said_under_it() {
        let form = Typed {
            description: "x".repeat(256),
            ..typed("web")
        };
        let checked = check(&form, &[], true);
        assert!(checked.description.is_some() && checked.spec.is_none());
    }
}
