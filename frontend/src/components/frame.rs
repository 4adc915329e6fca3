//! The frame of every page: navigation, live mark, theme, account. Support in somebody else's project also sees a bar
//! that says so.

use leptos::prelude::*;
use leptos_router::components::Outlet;
use leptos_router::hooks::use_location;

use super::button::icon_button;
use super::icon::{Icon, icon};
use super::keyboard;
use super::language::language_switch;
use super::live_mark::live_mark;
use super::menu::{Area, Menu, MenuEntry, entry_of};
use super::rose::rose;
use super::switcher::project_switcher;
use super::theme::theme_switch;
use super::{dynamic, maybe};
use crate::browser;
use crate::i18n::{Key, t, tp};
use crate::live::{Live, Scope};
use crate::paths;
use crate::session::{Session, State, require_log_in, use_project, use_session};

/// What the live stream tells of, for a page.
fn scope(logged_in: bool, support: bool, path: &str, project: &str) -> Scope {
    match (logged_in, paths::of_support(path)) {
        (true, true) if support => Scope::All,
        (true, false) if !project.is_empty() => Scope::Project(project.to_owned()),
        _ => Scope::Nothing,
    }
}

/// The project whose lists the menu shows: the page's, else the last one looked at.
fn shown_project(session: Session, project: Signal<String>) -> Signal<String> {
    let last = RwSignal::new(browser::remembered("project").unwrap_or_default());
    Effect::new(move |_| {
        let project = project.get();
        if !project.is_empty() {
            browser::remember("project", Some(&project));
            last.set(project);
        }
    });
    Memo::new(move |_| {
        let candidates = [project.get(), last.get()];
        let projects = session.projects();
        let first = projects.first().map(|first| first.id.to_string());
        let mut all = candidates.into_iter().chain(first);
        all.find(|project| !project.is_empty()).unwrap_or_default()
    })
    .into()
}

/// Says that the project on screen is somebody else's.
fn viewing(session: Session, project: Signal<String>) -> AnyView {
    maybe(move || {
        let project = project.get();
        if project.is_empty() || !session.is_support() || session.may_write(&project) {
            return None;
        }
        let text = tp(Key::ViewingAsSupport, &[("project", &session.project_name(&project))]);
        let back = view! { <a href=paths::support_queue()>{t(Key::ToQueue)}</a> };
        Some(
            view! {
                <div class="viewing" role="note" data-testid="viewing">
                    {icon(Icon::Eye)}
                    <span>{text}</span>
                    {back}
                </div>
            }
            .into_any(),
        )
    })
}

/// The frame of all pages.
pub fn frame(menu: Menu) -> AnyView {
    let session = use_session();
    let project = use_project();
    let shown = shown_project(session, project);
    let live = expect_context::<Live>();
    let open = RwSignal::new(false);
    require_log_in(session);
    keyboard::listen(menu, shown);
    let logged_in = Memo::new(move |_| matches!(session.state(), State::In(_)));
    let support = Memo::new(move |_| session.is_support());
    let path = use_location().pathname;
    let follower = live.follower();
    Effect::new(move |_| {
        let scope = scope(logged_in.get(), support.get(), &path.get(), &project.get());
        live.follow(follower, scope);
    });
    on_cleanup(move || live.follow(follower, Scope::Nothing));
    // A project that was made after the log-in has no name here yet.
    Effect::new(move |_| {
        let project = project.get();
        let unknown = untrack(|| session.project_name(&project)) == project;
        if support.get() && !project.is_empty() && unknown {
            session.ask();
        }
    });
    let log_out = Callback::new(move |()| {
        leptos::task::spawn_local(async move { session.log_out().await });
    });
    let current = Memo::new(move |_| entry_of(menu, &path.get()).map(|entry| entry.title));
    let item = move |entry: &'static MenuEntry| {
        view! {
            <li>
                <a
                    class="nav__link"
                    href=move || entry.href(&shown.get())
                    aria-current=move || (current.get() == Some(entry.title)).then_some("page")
                    on:click=move |_| open.set(false)
                >
                    {icon(entry.icon)}
                    {t(entry.title)}
                </a>
            </li>
        }
        .into_any()
    };
    let items =
        move |area: Area| -> Vec<AnyView> { menu.iter().filter(|entry| entry.area == area).map(item).collect() };
    let support_items = maybe(move || {
        support.get().then(|| {
            view! {
                <ul class="nav__list nav__list--support" aria-label=t(Key::Support)>
                    {items(Area::Support)}
                </ul>
            }
            .into_any()
        })
    });
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
                {project_switcher(menu, shown)}
                <nav aria-label=t(Key::MainNavigation)>
                    {support_items}
                    <ul class="nav__list">{items(Area::Project)}</ul>
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
                {viewing(session, project)}
                <main id="main" class="page">
                    {maybe(move || logged_in.get().then(|| view! { <Outlet /> }.into_any()))}
                </main>
            </div>
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_tells_of_what_is_on_screen() {
        assert_eq!(scope(true, false, "/p/a/networks", "a"), Scope::Project("a".to_owned()));
        assert_eq!(scope(true, true, "/support/queue", ""), Scope::All);
        assert_eq!(
            scope(true, false, "/support/queue", ""),
            Scope::Nothing,
            "refused anyway"
        );
        assert_eq!(scope(false, false, "/p/a/networks", "a"), Scope::Nothing);
    }
}
