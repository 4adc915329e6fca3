//! The other languages, one press away, each named in itself.

use leptos::prelude::*;

use crate::i18n::choice::use_language;
use crate::i18n::{self, Key, Lang, tp};

/// The switch.
pub fn language_switch() -> AnyView {
    let language = use_language();
    let shown = i18n::current();
    let other = |lang: Lang| {
        let choose = move |_| language.choose(lang);
        view! {
            <button type="button" class="button button--quiet language__other" lang=lang.tag() on:click=choose>
                <span class="language__name">{lang.name()}</span>
                <span class="language__tag" aria-hidden="true">{lang.tag()}</span>
            </button>
        }
        .into_any()
    };
    let others = Lang::ALL.iter().copied().filter(|lang| *lang != shown);
    let others: Vec<AnyView> = others.map(other).collect();
    view! {
        <div class="language" role="group" aria-label=tp(Key::LanguageIs, &[("language", shown.name())])>
            {others}
        </div>
    }
    .into_any()
}
