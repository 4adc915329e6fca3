//! What is around every page of a project: navigation, live mark, theme, account.

use leptos::prelude::*;
use leptos_router::components::Outlet;
use leptos_router::hooks::use_location;

use super::button::icon_button;
use super::icon::{Icon, icon};
use super::keyboard;
use super::language::language_switch;
use super::live_mark::live_mark;
use super::rose::rose;
use super::switcher::project_switcher;
use super::theme::theme_switch;
use super::{dynamic, maybe};
use crate::browser;
use crate::i18n::{Key, t};
use crate::live::Live;
use crate::paths::{self, Section};
use crate::session::{State, require_log_in, use_project, use_session};

/// The frame of a project's pages.
#[component]
pub fn Frame() -> impl IntoView {
    let session = use_session();
    let project = use_project();
    let live = expect_context::<Live>();
    let open = RwSignal::new(false);
    require_log_in(session);
    keyboard::listen();
    let logged_in = Memo::new(move |_| matches!(session.state(), State::In(_)));
    Effect::new(move |_| {
        live.follow(if logged_in.get() { project.get() } else { String::new() });
    });
    on_cleanup(move || live.follow(String::new()));
    let log_out = Callback::new(move |()| {
        leptos::task::spawn_local(async move { session.log_out().await });
    });
    let path = use_location().pathname;
    let section = Memo::new(move |_| paths::section(&path.get()));
    let item = move |href: Signal<String>, of: Section, drawing: Icon, title: Key| {
        view! {
            <li>
                <a
                    class="nav__link"
                    href=href
                    aria-current=move || (section.get() == Some(of)).then_some("page")
                    on:click=move |_| open.set(false)
                >
                    {icon(drawing)}
                    {t(title)}
                </a>
            </li>
        }
        .into_any()
    };
    view! {
        <div class="frame" class:frame--open=open>
            <a class="skip button" href="#main" on:click=move |event| {
                event.prevent_default();
                browser::focus("h1");
            }>{t(Key::SkipToContent)}</a>
            <div class="scrim" on:click=move |_| open.set(false)></div>
            <aside
                class="nav"
                on:keydown=move |event| {
                    if event.key() == "Escape" {
                        open.set(false);
                    }
                }
            >
                <div class="nav__brand">
                    {rose(24, false)} {t(Key::AppName)}
                    {icon_button(
                        "nav__close button button--quiet button--icon",
                        Icon::Cross,
                        Key::Close,
                        Callback::new(move |()| open.set(false)),
                    )}
                </div>
                {project_switcher()}
                <nav aria-label=t(Key::MainNavigation)>
                    <ul class="nav__list">
                        {item(
                            Signal::derive(move || paths::networks(&project.get())),
                            Section::Networks,
                            Icon::Network,
                            Key::Networks,
                        )}
                        {item(
                            Signal::derive(move || paths::clusters(&project.get())),
                            Section::Clusters,
                            Icon::Cluster,
                            Key::Clusters,
                        )}
                    </ul>
                </nav>
            </aside>
            <div class="main">
                <div class="topbar">
                    <button
                        type="button"
                        class="topbar__menu button button--quiet button--icon"
                        aria-label=t(Key::MainNavigation)
                        aria-expanded=move || open.get().to_string()
                        on:click=move |_| open.set(true)
                    >
                        {icon(Icon::Menu)}
                    </button>
                    {live_mark()}
                    {language_switch()}
                    {theme_switch()}
                    <div class="topbar__account">
                        <span class="topbar__name">{dynamic(move || session.user().into_any())}</span>
                        {icon_button("button button--quiet button--icon", Icon::Leave, Key::LogOut, log_out)}
                    </div>
                </div>
                <main id="main" class="page">
                    {maybe(move || logged_in.get().then(|| view! { <Outlet /> }.into_any()))}
                </main>
            </div>
        </div>
    }
}
