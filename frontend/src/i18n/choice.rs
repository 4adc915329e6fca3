//! Which language is shown: the account's, else what was chosen last in this browser, else the
//! browser's own.

use leptos::prelude::*;

use super::{Key, Lang, current, load, show, tp};
use crate::browser;
use crate::components::toast::Toasts;
use crate::session::Session;

/// Name under which this browser keeps the choice.
const KEPT: &str = "language";

/// What to show before anybody is logged in: `kept` by an earlier visit, else the first of the
/// `preferred` that the console speaks.
pub fn before_log_in(kept: Option<&str>, preferred: &[String]) -> Lang {
    kept.and_then(Lang::from_tag)
        .unwrap_or_else(|| Lang::preferred(preferred.iter().map(String::as_str)))
}

/// What follows from an account becoming known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It is all as it should be.
    Nothing,
    /// The account's language is to be shown.
    Show(Lang),
    /// The account is to keep this one.
    Keep(Lang),
}

/// What follows from an account's language, where `chosen` was chosen on this page before the log-in
/// and so wins.
pub fn follow(shown: Lang, chosen: Option<Lang>, account: Option<&str>) -> Follow {
    match (chosen, account.and_then(Lang::from_tag)) {
        (Some(chosen), Some(account)) if chosen == account => Follow::Nothing,
        (Some(chosen), _) => Follow::Keep(chosen),
        (None, Some(account)) if account != shown => Follow::Show(account),
        (None, _) => Follow::Nothing,
    }
}

/// Shows a language once its texts are there; false if they could not be had.
async fn change(lang: Lang) -> bool {
    if lang != current() {
        let texts = match lang {
            Lang::En => None,
            _ => match load::texts(lang).await {
                None => return false,
                texts => texts,
            },
        };
        show(lang, texts);
    }
    browser::set_root_attribute("lang", Some(lang.tag()));
    true
}

/// Before the first page: shows what is to be shown, and says what could not be.
pub async fn start() -> Option<Lang> {
    let lang = before_log_in(browser::remembered(KEPT).as_deref(), &browser::languages());
    (!change(lang).await).then_some(lang)
}

/// The language of this application, shared by all pages.
#[derive(Clone, Copy)]
pub struct Language {
    shown: RwSignal<Option<Lang>>,
    chosen: StoredValue<Option<Lang>>,
    session: Session,
    toasts: Toasts,
}

impl Language {
    /// Provides it to everything below, and follows the account; `missing` is what [`start`] could not show.
    pub fn provide(session: Session, toasts: Toasts, missing: Option<Lang>) -> Self {
        let language = Self {
            shown: RwSignal::new(Some(current())),
            chosen: StoredValue::new(None),
            session,
            toasts,
        };
        provide_context(language);
        if let Some(missing) = missing {
            language.say_missing(missing);
        }
        let account = Memo::new(move |_| session.language());
        Effect::new(move |_| {
            let Some(account) = account.get() else {
                return;
            };
            match follow(current(), language.chosen.get_value(), account.as_deref()) {
                Follow::Nothing => {}
                Follow::Show(lang) => leptos::task::spawn_local(async move {
                    language.change(lang).await;
                }),
                Follow::Keep(lang) => leptos::task::spawn_local(language.keep(lang)),
            }
            language.chosen.set_value(None);
        });
        language
    }

    /// The language being shown; `None` for the moment between two, when the pages are taken down.
    pub fn shown(self) -> Option<Lang> {
        self.shown.get()
    }

    /// The reader chose a language: shows it, and keeps it in this browser and with the account.
    pub fn choose(self, lang: Lang) {
        leptos::task::spawn_local(async move {
            if !self.change(lang).await {
                return;
            }
            if self.session.language_untracked().is_some() {
                self.keep(lang).await;
            } else {
                self.chosen.set_value(Some(lang));
            }
        });
    }

    /// Shows a language and keeps it in this browser, or says that it could not be had.
    async fn change(self, lang: Lang) -> bool {
        let changed = change(lang).await;
        if changed {
            browser::remember(KEPT, Some(lang.tag()));
            self.shown.set(None);
            browser::soon(move || self.shown.set(Some(lang)));
        } else {
            self.say_missing(lang);
        }
        changed
    }

    async fn keep(self, lang: Lang) {
        if let Err(failure) = self.session.keep_language(lang.tag()).await {
            self.toasts
                .show(tp(Key::LanguageNotKept, &[("reason", &failure.sentence())]));
        }
    }

    fn say_missing(self, lang: Lang) {
        self.toasts.show(tp(Key::LanguageFailed, &[("language", lang.name())]));
    }
}

/// The language of this application.
pub fn use_language() -> Language {
    expect_context::<Language>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_here_comes_before_what_the_browser_prefers() {
        let preferred = ["de-DE", "ru-RU", "en"].map(str::to_owned);
        assert_eq!(before_log_in(None, &preferred), Lang::Ru);
        assert_eq!(before_log_in(Some("en"), &preferred), Lang::En);
        assert_eq!(before_log_in(Some("tlh"), &preferred), Lang::Ru);
        assert_eq!(before_log_in(None, &[]), Lang::En);
    }

    #[test]
    fn the_account_is_followed_unless_the_reader_has_just_chosen() {
        use Follow::{Keep, Nothing, Show};
        let (en, ru) = (Lang::En, Lang::Ru);
        assert_eq!(follow(en, None, Some("ru")), Show(ru));
        assert_eq!(follow(ru, None, Some("ru")), Nothing);
        assert_eq!(follow(ru, None, None), Nothing);
        assert_eq!(follow(ru, None, Some("tlh")), Nothing);
        assert_eq!(follow(ru, Some(ru), Some("en")), Keep(ru));
        assert_eq!(follow(ru, Some(ru), Some("ru")), Nothing);
        assert_eq!(follow(ru, Some(ru), None), Keep(ru));
    }
}
