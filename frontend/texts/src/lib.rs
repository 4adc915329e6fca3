//! Every word on a screen of the console, by key, in every language it speaks.
//!
//! A text is in `src/<language>/<subject>.rs`, English and the others alike; which subjects there are is listed here. The English files make
//! the keys ([`Key`]); each language is an exhaustive match over them, so **a missing text does not
//! compile**, nor does one without a key. Placeholders are `{name}`; a text that counts holds its
//! plural forms separated by `|`, in the order of [`plural::Form`]. Tests hold every language to the
//! placeholders of English and to its own number of forms.
//!
//! The console links English ([`en::text`]) and nothing else of this crate's words: the others are
//! files that the build makes of them ([`mod@file`]) and a browser loads when they are wanted.

#![forbid(unsafe_code)]

/// A subject's texts, as `subject! { ports; AddPort: "Add port", … }`: makes a macro of the subject's
/// name that puts them behind those it is given and hands all to the next one.
macro_rules! subject {
    ($($texts:tt)*) => {
        subject_macro! { ($) $($texts)* }
    };
}

/// [`subject`] with the sign that a macro inside a macro needs.
macro_rules! subject_macro {
    (($d:tt) $name:ident; $($texts:tt)*) => {
        macro_rules! $name {
            ({ $d($d before:tt)* } $d next:ident $d($d then:ident)*) => {
                $d next! { { $d($d before)* $($texts)* } $d($d then)* }
            };
        }
    };
}

/// All subjects of a language one after the other, for the macro named last: `all! { whole ports => language }`.
macro_rules! all {
    ($first:ident $($subject:ident)* => $last:ident) => {
        $first! { {} $($subject)* $last }
    };
}

/// A language: a match over the keys.
macro_rules! language {
    ({ $($key:ident: $text:literal,)* }) => {
        /// The text of a key in this language.
        pub const fn text(key: crate::Key) -> &'static str {
            match key { $(crate::Key::$key => $text,)* }
        }
    };
}

/// The first language: makes the keys, too.
macro_rules! keys {
    ({ $($key:ident: $text:literal,)* }) => {
        language! { { $($key: $text,)* } }

        /// Names a text of the console.
        #[allow(missing_docs, reason = "the English text beside each says what it is")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Key { $($key,)* }

        impl Key {
            /// All of them, each at its own number.
            pub const ALL: &'static [Key] = &[$(Key::$key,)*];

            /// Their names, in the same order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($key),)*];
        }
    };
}

pub mod codes;
pub mod file;
mod lang;
pub mod plural;

/// English, and with it the keys: short in tables, whole sentences under fields.
pub mod en {
    #[macro_use]
    mod address_scopes;
    #[macro_use]
    mod audit;
    #[macro_use]
    mod clusters;
    #[macro_use]
    mod errors;
    #[macro_use]
    mod formats;
    #[macro_use]
    mod holders;
    #[macro_use]
    mod making;
    #[macro_use]
    mod networks;
    #[macro_use]
    mod plans;
    #[macro_use]
    mod ports;
    #[macro_use]
    mod requests;
    #[macro_use]
    mod tables;
    #[macro_use]
    mod whole;
    #[macro_use]
    mod words;

    all! { whole formats tables networks address_scopes ports clusters requests audit making plans errors words holders => keys }
}

/// Russian: вы, no exclamation marks, states agree with their noun.
pub mod ru {
    #[macro_use]
    mod address_scopes;
    #[macro_use]
    mod audit;
    #[macro_use]
    mod clusters;
    #[macro_use]
    mod errors;
    #[macro_use]
    mod formats;
    #[macro_use]
    mod holders;
    #[macro_use]
    mod making;
    #[macro_use]
    mod networks;
    #[macro_use]
    mod plans;
    #[macro_use]
    mod ports;
    #[macro_use]
    mod requests;
    #[macro_use]
    mod tables;
    #[macro_use]
    mod whole;
    #[macro_use]
    mod words;

    all! { whole formats tables networks address_scopes ports clusters requests audit making plans errors words holders => language }
}

pub use en::Key;
pub use lang::Lang;

#[cfg(test)]
mod tests;
