//! *Add port*: a panel over the *Ports* tab.

use gloo_net::http::Method;
use leptos::prelude::*;
use portolan_shared::v1::{PortRow, SubnetRow};

use super::words::subnet_name;
use crate::api::bodies::CreatePort;
use crate::api::{self, Failure, url};
use crate::browser;
use crate::components::code::show_as_code;
use crate::components::error::form_error;
use crate::components::field::{LINE, Look, Message, check_field, choice_field, text_field};
use crate::components::maybe;
use crate::components::panel::{Closing, form, form_foot, panel};
use crate::components::toast::use_toasts;
use crate::forms::code;
use crate::forms::port::{Addresses, Checked, Context, Typed, check};
use crate::i18n::{Key, tp};
use crate::session::use_session;

/// The panel, in `subnet`; `ports` are those one may see there, live.
pub fn add_port(
    project: Signal<String>,
    subnet: Signal<Option<SubnetRow>>,
    ports: Signal<Vec<PortRow>>,
    close: Callback<()>,
) -> AnyView {
    let session = use_session();
    let toasts = use_toasts();
    let text = || RwSignal::new(String::new());
    let (name, addresses, mac, description) = (text(), text(), text(), text());
    let choice = RwSignal::new(0_usize);
    let fixed = move || choice.get() == 1;
    let (enabled, another) = (RwSignal::new(true), RwSignal::new(false));
    // Errors of empty fields are shown only after the first try to send.
    let tried = RwSignal::new(false);
    let (busy, failure) = (RwSignal::new(false), RwSignal::new(None::<Failure>));

    let typed = move || Typed {
        name: name.get(),
        choice: if fixed() { Addresses::Fixed } else { Addresses::Any },
        addresses: addresses.get(),
        mac: mac.get(),
        enabled: enabled.get(),
        description: description.get(),
    };
    let context = Memo::new(move |_| {
        subnet.with(|subnet| {
            subnet
                .as_ref()
                .map(|subnet| ports.with(|ports| Context::new(subnet, ports)))
        })
    });
    let checked = Memo::new(move |_| {
        context.with(|context| {
            context
                .as_ref()
                .map(|context| check(&typed(), context))
                .unwrap_or_default()
        })
    });
    let dirty = Signal::derive(move || {
        typed()
            != Typed {
                enabled: true,
                ..Typed::default()
            }
    });
    let closing = Closing::new(dirty, close);
    let said = move |pick: fn(&Checked) -> &Option<Message>| {
        Signal::derive(move || checked.with(|checked| pick(checked).clone()))
    };
    // The server's message about the addresses is shown under them until they are changed.
    let refused = RwSignal::new(None::<(String, Message)>);
    let addresses_said = Signal::derive(move || {
        let now = addresses.get();
        match refused.get() {
            Some((then, message)) if then == now => Some(message),
            _ if now.trim().is_empty() && !tried.get() => None,
            _ => checked.with(|checked| checked.addresses.clone()),
        }
    });

    let submit = Callback::new(move |()| {
        if busy.get_untracked() {
            return;
        }
        tried.set(true);
        let (Some(spec), Some(subnet)) = (checked.get_untracked().spec, subnet.get_untracked()) else {
            browser::soon(|| {
                browser::focus(".panel [aria-invalid=true]");
            });
            return;
        };
        busy.set(true);
        failure.set(None);
        leptos::task::spawn_local(async move {
            let (network, id) = (subnet.network.id.to_string(), subnet.id.to_string());
            let body = CreatePort::new(&network, &id, &spec);
            let project = project.get_untracked();
            let answer = api::send(session, &project, Method::POST, &url::networking("ports"), Some(&body)).await;
            // The panel may be gone by now, and its signals with it.
            busy.try_set(false);
            match answer {
                Ok(answer) => {
                    toasts.show(made_text(&answer, &spec.name));
                    if another.try_get_untracked() == Some(true) {
                        tried.set(false);
                        for field in [name, addresses, mac] {
                            field.set(String::new());
                        }
                        browser::focus(".panel [data-first]");
                    } else {
                        close.try_run(());
                    }
                }
                Err(error) if error.field.as_deref() == Some("fixed_ips") && choice.try_get_untracked() == Some(1) => {
                    refused.try_set(Some((addresses.get_untracked(), Message::error(error.sentence()))));
                    browser::soon(|| {
                        browser::focus(".panel [aria-invalid=true]");
                    });
                }
                Err(error) => {
                    failure.try_set(Some(error));
                }
            }
        });
    });
    let which = maybe(move || {
        fixed().then(|| {
            text_field(
                "fixed_ips",
                Key::IpAddresses,
                Look { mono: true, ..LINE },
                addresses,
                addresses_said,
                Some(Key::FixedHint),
            )
        })
    });
    let code = Signal::derive(move || {
        let place = subnet.with(|subnet| {
            let ids = |subnet: &SubnetRow| (subnet.network.id.to_string(), subnet.id.to_string());
            subnet.as_ref().map(ids)
        });
        checked.with(|checked| match (place, &checked.spec) {
            (Some((network, subnet)), Some(spec)) => code::port(&browser::origin(), &network, &subnet, spec),
            _ => Vec::new(),
        })
    });
    let body = form(
        vec![
            form_error(failure),
            text_field(
                "name",
                Key::Name,
                Look {
                    first: true,
                    optional: true,
                    ..LINE
                },
                name,
                said(|c| &c.name),
                None,
            ),
            choice_field(Key::Addresses, &[Key::AnyFree, Key::FixedAddresses], choice),
            which,
            text_field(
                "mac_address",
                Key::Mac,
                Look {
                    mono: true,
                    optional: true,
                    ..LINE
                },
                mac,
                said(|c| &c.mac),
                Some(Key::MacHint),
            ),
            check_field(Key::Enabled, Some(Key::EnabledHint), enabled),
            text_field(
                "description",
                Key::Description,
                Look { optional: true, ..LINE },
                description,
                said(|c| &c.description),
                None,
            ),
            show_as_code(code::ALL, code),
        ],
        submit,
    );
    let foot = Box::new(move || {
        vec![
            check_field(Key::CreateAnother, None, another),
            form_foot(Key::CreatePort, busy, submit, closing),
        ]
        .into_any()
    });
    let title = Signal::derive(move || {
        let subnet = subnet.with(|subnet| subnet.as_ref().map(subnet_name).unwrap_or_default());
        tp(Key::AddPortTo, &[("subnet", &subnet)])
    });
    panel(title, closing, body, foot)
}

/// What the answer says was made: its name, else its address.
fn made_text(answer: &str, name: &str) -> String {
    let address = || {
        let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
        Some(answer["port"]["fixed_ips"][0]["ip_address"].as_str()?.to_owned())
    };
    match address() {
        Some(address) if name.is_empty() => tp(Key::PortMade, &[("address", &address)]),
        Some(address) => tp(Key::PortMadeNamed, &[("name", name), ("address", &address)]),
        None => tp(Key::Created1, &[("name", name)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_which_address_was_given() {
        let answer = r#"{"port":{"fixed_ips":[{"ip_address":"10.0.0.9"}]}}"#;
        assert!(made_text(answer, "").contains("10.0.0.9"));
        assert!(made_text(answer, "web").contains("web"));
        assert!(made_text("{}", "web").contains("web"));
    }
}
