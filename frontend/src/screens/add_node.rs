//! *Add node*: the command by which a host joins, with its token, shown once.

use leptos::prelude::*;
use portolan_shared::check;
use portolan_shared::v1::{CreateNode, JoinToken};

use crate::api::bodies::Empty;
use crate::api::{Failure, url, use_act};
use crate::browser;
use crate::components::button::{Look as ButtonLook, button};
use crate::components::copy::{copy_button, copyable};
use crate::components::dynamic;
use crate::components::error::form_error;
use crate::components::facts::{fact, facts, noted, words};
use crate::components::field::{LINE, Look, Message, text_field};
use crate::components::panel::{Closing, form, form_foot, panel};
use crate::components::time::use_clock;
use crate::components::toast::use_toasts;
use crate::forms::{join, port::forbids};
use crate::i18n::{Key, format, t, tp};
use crate::screens::audit::kinds::{Audited, NO_PAGE};

/// What the audit must know of the token that a node joins with.
pub(crate) const AUDITED: Audited = Audited {
    word: "join_token",
    title: Key::ObjectJoinToken,
    page: NO_PAGE,
};

/// The panel, for the cluster with the id `cluster`.
pub fn add_node_panel(project: Signal<String>, cluster: Signal<String>, close: Callback<()>) -> AnyView {
    let toasts = use_toasts();
    let act = use_act();
    let name = RwSignal::new(String::new());
    // Only this panel has the secret; it is gone once the panel is closed.
    let token = RwSignal::new(None::<JoinToken>);
    let said = Signal::derive(move || {
        let name = name.get();
        let name = name.trim();
        let refusal = check::label("name", name).err().filter(|_| !name.is_empty())?;
        Some(Message::error(Failure::from_refusal(&refusal).sentence()))
    });
    let closing = Closing::new(
        Signal::derive(move || token.with(Option::is_none) && !name.with(String::is_empty)),
        close,
    );
    let made = Callback::new(move |text: String| match serde_json::from_str::<JoinToken>(&text) {
        Ok(made) => {
            token.set(Some(made));
            toasts.announce(t(Key::JoinMake));
            browser::soon(|| {
                browser::focus(".panel pre");
            });
        }
        Err(error) => act.failure.set(Some(Failure::unreadable(&error.to_string()))),
    });
    let submit = Callback::new(move |()| {
        if forbids(said.get_untracked().as_ref()) {
            browser::focus(".panel [aria-invalid=true]");
            return;
        }
        let (project, cluster) = (project.get_untracked(), cluster.get_untracked());
        let call = |tail: &str| url::of_project(&project, &format!("clusters/{cluster}/{tail}"));
        match name.get_untracked().trim() {
            "" => act.post(project.clone(), call("join-tokens"), &Empty {}, move |text| {
                made.run(text)
            }),
            name => {
                let body = CreateNode { name: name.to_owned() };
                act.post(project.clone(), call("nodes"), &body, move |text| made.run(text));
            }
        }
    });
    let asking = move || {
        let look = Look {
            first: true,
            optional: true,
            ..LINE
        };
        form(
            vec![
                form_error(act.failure),
                view! { <p class="panel__lead">{t(Key::AddNodeLead)}</p> }.into_any(),
                text_field("name", Key::Name, look, name, said, Some(Key::NodeNameHint)),
            ],
            submit,
        )
    };
    let body = dynamic(move || match token.get() {
        Some(token) => command_view(&token),
        None => asking(),
    });
    let title = Signal::derive(move || {
        let made = token.with(Option::is_some);
        t(if made { Key::JoinCommand } else { Key::AddNode }).to_owned()
    });
    let foot = Box::new(move || {
        dynamic(move || match token.with(Option::is_some) {
            true => button(ButtonLook::Plain, Key::Close, close),
            false => form_foot(Key::MakeCommand, act.busy, submit, closing),
        })
    });
    panel(title, closing, body, foot)
}

/// The command, and what the host needs before it.
fn command_view(token: &JoinToken) -> AnyView {
    let clock = use_clock();
    let command = join::command(token);
    let expires = format::parse_time(&token.expires_at).map(|at| format::date(at, clock.zone()));
    let mut lines = vec![fact(Key::JoinExpires, words(expires.unwrap_or_default()))];
    for address in join::addresses(token) {
        lines.push(fact(
            Key::JoinAddress,
            noted(copyable(address), words(t(Key::JoinAddressHint))),
        ));
    }
    let mtu = tp(Key::Bytes, &[("n", &token.mtu.to_string())]);
    lines.push(fact(Key::Mtu, words(mtu)));
    view! {
        <p class="panel__lead">{t(Key::JoinLead)}</p>
        <div class="code__frame">
            <pre class="code__text mono" tabindex="0" role="region" aria-label=t(Key::JoinCommand)>
                <code data-testid="join">{command.clone()}</code>
            </pre>
            {copy_button(command, t(Key::JoinCommand).to_owned())}
        </div>
        <div class="panel__section">{facts(lines)}</div>
    }
    .into_any()
}
