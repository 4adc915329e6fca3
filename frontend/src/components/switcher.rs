//! Which project: its name, its ID to copy, and the others one may go to.

use leptos::html;
use leptos::prelude::*;
use leptos_router::hooks::use_location;

use super::copy::copy_button;
use super::icon::{Icon, icon};
use super::menu::{Menu, in_project};
use super::{dynamic, maybe};
use crate::browser;
use crate::i18n::{Key, t};
use crate::session::use_session;

/// The switcher; `project` is the one whose lists the menu shows.
pub fn project_switcher(menu: Menu, project: Signal<String>) -> AnyView {
    let session = use_session();
    let path = use_location().pathname;
    let open = RwSignal::new(false);
    let node = NodeRef::<html::Div>::new();
    let name = move || session.project_name(&project.get());
    let list = move || {
        session
            .projects()
            .into_iter()
            .map(|known| {
                let id = known.id.to_string();
                let current = id == project.get();
                view! {
                    <li>
                        <a
                            class="switcher__item"
                            href=in_project(menu, &path.get(), &id)
                            aria-current=current.then_some("true")
                            on:click=move |_| open.set(false)
                        >
                            {known.name}
                            <code>{id.clone()}</code>
                        </a>
                    </li>
                }
                .into_any()
            })
            .collect::<Vec<AnyView>>()
    };
    let keys = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" && open.get_untracked() {
            event.stop_propagation();
            open.set(false);
            browser::focus(".switcher__button");
        }
    };
    // Leaving it closes it.
    let left = move |event: leptos::ev::FocusEvent| {
        use wasm_bindgen::JsCast;
        let to = event
            .related_target()
            .and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        let inside = node.get_untracked().is_some_and(|node| node.contains(to.as_ref()));
        if !inside {
            open.set(false);
        }
    };
    view! {
        <div class="switcher" node_ref=node on:keydown=keys on:focusout=left>
            <p class="switcher__label" id="switcher-label">{t(Key::Project)}</p>
            <button
                type="button"
                class="switcher__button"
                aria-expanded=move || open.get().to_string()
                aria-describedby="switcher-label"
                on:click=move |_| open.update(|open| *open = !*open)
            >
                {dynamic(move || name().into_any())}
                {icon(Icon::Chevron)}
            </button>
            <div class="switcher__id">
                {dynamic(move || {
                    let id = project.get();
                    view! {
                        <code title=id.clone()>{id.clone()}</code>
                        {copy_button(id, t(Key::ProjectId).to_owned())}
                    }
                        .into_any()
                })}
            </div>
            {maybe(move || {
                open.get().then(|| view! { <ul class="switcher__list">{list()}</ul> }.into_any())
            })}
        </div>
    }
    .into_any()
}
