//! *Request a cluster without external IP*.

use leptos::prelude::*;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};
use portolan_shared::v1::{Kind, List, NetworkRow, ShadowRequest, ShadowportPage};
use serde::Deserialize;

use super::list::KINDS;
use super::parts::{decision, writing};
use crate::api::{Interest, url, use_act, use_read};
use crate::components::button::{Look as ButtonLook, sending_button};
use crate::components::error::{error_block, notice};
use crate::components::facts::link;
use crate::components::field::{LINE, Look, text_field};
use crate::components::fixed::fixed_field;
use crate::components::page::{Crumb, page_head};
use crate::components::select::select_field;
use crate::components::toast::use_toasts;
use crate::components::{maybe, nothing};
use crate::forms::request::{Typed, check};
use crate::i18n::{Key, t};
use crate::screens::words::name_or_id;
use crate::session::{use_project, use_session};
use crate::{browser, paths};

/// What of the answer matters: the new request's id.
#[derive(Deserialize)]
struct Filed {
    item: FiledRequest,
}

#[derive(Deserialize)]
struct FiledRequest {
    id: String,
}

/// The page.
#[component]
pub fn NewRequest() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let toasts = use_toasts();
    let navigate = use_navigate();
    let query = use_query_map();
    let quotes = StoredValue::new(query.with_untracked(|query| query.get("quotes").unwrap_or_default()));
    let page = use_read::<ShadowportPage>(
        Signal::derive(move || url::of_project(&project.get(), "shadowport")),
        Interest::anywhere(KINDS),
    );
    let networks = use_read::<List<NetworkRow>>(
        Signal::derive(move || url::of_project(&project.get(), "networks")),
        Interest::anywhere(&[Kind::Network]),
    );
    let (purpose, nodes, network) = (
        RwSignal::new(String::new()),
        RwSignal::new(String::new()),
        RwSignal::new(String::new()),
    );
    let (act, tried) = (use_act(), RwSignal::new(false));
    let checked = Memo::new(move |_| {
        check(&Typed {
            purpose: purpose.get(),
            nodes: nodes.get(),
            network: network.get(),
            quotes: quotes.get_value(),
        })
    });

    // Only one request can be open: shows the page of the one that was open already, or of the one just sent.
    let opens = navigate.clone();
    let open_request = move |id: &str, said: Key| {
        toasts.show(t(said).to_owned());
        let options = NavigateOptions {
            replace: true,
            ..Default::default()
        };
        opens(&paths::shadowport_request(&project.get_untracked(), id), options);
    };
    let to_open = open_request.clone();
    Effect::new(move |_| {
        let open = page.data.with(|page| page.as_ref().and_then(|page| page.open));
        // While sending, the open request may be the one just sent; `done` opens that.
        if let Some(open) = open
            && !act.busy.get_untracked()
        {
            to_open(&open.to_string(), Key::RequestOpenAlready);
        }
    });
    let to_first = open_request.clone();
    Effect::new(move |_| {
        let first = act.failure.with(|failure| {
            let failure = failure.as_ref().filter(|failure| failure.code == "request.open")?;
            let param = failure.params.iter().find(|(name, _)| name == "request");
            param.map(|(_, id)| id.clone())
        });
        if let Some(first) = first {
            to_first(&first, Key::RequestOpenAlready);
        }
    });
    let submit = Callback::new(move |()| {
        tried.set(true);
        let Some(body) = checked.with_untracked(|checked| checked.body.clone()) else {
            browser::soon(|| {
                browser::focus("form [aria-invalid=true]");
            });
            return;
        };
        let open_request = open_request.clone();
        let done = move |text: String| {
            if let Ok(Filed { item }) = serde_json::from_str(&text) {
                open_request(&item.id, Key::RequestSent);
            }
        };
        let project = project.get_untracked();
        act.post(project.clone(), url::of_project(&project, "shadowport"), &body, done);
    });

    let title = Signal::derive(|| t(Key::RequestTitle).to_owned());
    let crumbs = Signal::derive(move || {
        vec![
            Crumb::link(t(Key::Shadowport), paths::shadowport(&project.get())),
            Crumb::here(t(Key::RequestNew)),
        ]
    });
    let choices = Signal::derive(move || {
        let mut choices = vec![(String::new(), t(Key::FieldNetworkNone).to_owned())];
        networks.data.with(|networks| {
            let own = networks
                .iter()
                .flat_map(|list| &list.items)
                .filter(|network| !network.external);
            choices.extend(own.map(|network| {
                let id = network.id.to_string();
                let name = name_or_id(&network.name, &id);
                (id, name)
            }));
        });
        choices
    });
    let purpose_said = Signal::derive(move || checked.with(|checked| checked.purpose.clone()).filter(|_| tried.get()));
    let nodes_said = Signal::derive(move || checked.with(|checked| checked.nodes.clone()).filter(|_| tried.get()));
    let answered = move || {
        let quotes = quotes.get_value();
        let found = page.data.with(|page| {
            let items = page.as_ref().map(|page| page.items.as_slice()).unwrap_or_default();
            items.iter().find(|request| request.id.to_string() == quotes).cloned()
        });
        found.map(|request| quoted_view(&request, &project.get()))
    };
    let failure = move || {
        let failure = act.failure.get().filter(|failure| failure.code != "request.open")?;
        Some(view! { <div class="error--inline">{error_block(&failure, None)}</div> }.into_any())
    };
    let cancel = move || paths::shadowport(&project.get());
    let form = move || {
        let fields = vec![
            maybe(failure),
            maybe(answered),
            fixed_field("project_id", Key::FieldProjectId, project, Some(Key::ProjectId), None),
            writing(
                "purpose",
                Key::FieldPurpose,
                Look {
                    lines: 6,
                    first: true,
                    ..LINE
                },
                purpose,
                purpose_said,
                Some(Key::FieldPurposeHint),
            ),
            select_field(
                "network",
                Key::FieldNetwork,
                true,
                choices,
                network,
                Some(Key::FieldNetworkHint),
            ),
            text_field(
                "nodes",
                Key::FieldNodes,
                LINE,
                nodes,
                nodes_said,
                Some(Key::FieldNodesHint),
            ),
            fixed_field(
                "contact",
                Key::FieldContact,
                Signal::derive(move || session.user()),
                None,
                Some(Key::FieldContactHint),
            ),
        ];
        view! {
            <form
                class="card request-form"
                novalidate
                on:submit=move |event| {
                    event.prevent_default();
                    submit.run(());
                }
            >
                {fields}
                <div class="composer__buttons">
                    {sending_button(ButtonLook::Primary, Key::SendRequest, act.busy, submit)}
                    <a class="button" href=cancel>
                        {t(Key::Cancel)}
                    </a>
                </div>
            </form>
        }
        .into_any()
    };
    let granted = Memo::new(move |_| {
        page.data
            .with(|page| page.as_ref().is_some_and(|page| page.granted && page.open.is_none()))
    });
    let may_write = Memo::new(move |_| session.may_write(&project.get()));
    let body = maybe(move || {
        if granted.get() {
            return Some(notice(t(Key::RequestHasGrant).to_owned()));
        }
        if !may_write.get() {
            return Some(notice(t(Key::FailureForbidden).to_owned()));
        }
        Some(form())
    });
    view! {
        {page_head(title, crumbs, Signal::stored(Vec::new()), nothing())}
        <div class="page__body">{body}</div>
    }
    .into_any()
}

/// The request that was declined, which the new one answers.
fn quoted_view(request: &ShadowRequest, project: &str) -> AnyView {
    let href = paths::shadowport_request(project, &request.id.to_string());
    let said = request
        .decided
        .as_ref()
        .map(|decided| decision(decided, Key::StateDeclined));
    view! {
        <section class="quote" aria-label=t(Key::EarlierRequest)>
            <h2>{t(Key::AsksAgain)}</h2>
            <blockquote>{request.purpose.clone()}</blockquote>
            {said}
            <p>{link(t(Key::EarlierRequest).to_owned(), href)}</p>
        </section>
    }
    .into_any()
}
