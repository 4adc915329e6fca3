//! The languages that are not linked into the console: a file each, which a page loads when it is wanted.

use portolan_texts::{Key, Lang, file};

use super::{ConsoleError, File, hashed};

/// What every such file's path begins with.
const PREFIX: &str = "assets/texts-";

/// The languages that are files.
fn languages() -> impl Iterator<Item = Lang> {
    Lang::ALL.iter().copied().filter(|lang| *lang != Lang::En)
}

/// The files, in the order of [`Lang::ALL`].
pub(super) fn files() -> Vec<File> {
    let file = |lang: Lang| {
        let bytes = file::write(lang).into_bytes();
        (hashed(&format!("texts-{}", lang.tag()), "txt", &bytes), bytes)
    };
    languages().map(file).collect()
}

/// How the page says where its `files` are: the console asks for `portolan:texts:` and a tag.
pub(super) fn meta(files: &[File]) -> String {
    let line = |(lang, (path, _)): (Lang, &File)| {
        format!("<meta name=\"portolan:texts:{}\" content=\"/{path}\">\n", lang.tag())
    };
    languages().zip(files).map(line).collect()
}

/// Whether a first visit, in English, downloads it.
pub(super) fn is_first(path: &str) -> bool {
    !path.starts_with(PREFIX)
}

/// Refuses a program with another language in it: everybody would download that.
pub(super) fn only_english(wasm: &[u8]) -> Result<(), ConsoleError> {
    for lang in languages() {
        let texts = Key::ALL.iter().map(|key| lang.text(*key));
        let longest = texts.max_by_key(|text| text.len()).unwrap_or_default();
        if wasm.windows(longest.len()).any(|part| part == longest.as_bytes()) {
            return Err(ConsoleError::Linked(lang.name()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_is_a_file_that_the_page_names() {
        let files = files();
        assert_eq!(files.len(), Lang::ALL.len() - 1);
        let meta = meta(&files);
        for (lang, (path, bytes)) in languages().zip(&files) {
            assert!(!is_first(path) && path.ends_with(".txt"), "{path}");
            assert!(
                meta.contains(&format!("portolan:texts:{}\" content=\"/{path}\"", lang.tag())),
                "{meta}"
            );
            let text = std::str::from_utf8(bytes).unwrap();
            let texts = file::read(text, lang).unwrap();
            let whole: Vec<&str> = Key::ALL.iter().map(|key| lang.text(*key)).collect();
            assert_eq!(texts, whole);
        }
        assert!(is_first("assets/console-0.wasm") && is_first("index.html"));
    }

    #[test]
    fn another_language_in_the_program_is_found() {
        let english: Vec<u8> = Key::ALL.iter().flat_map(|key| Lang::En.text(*key).bytes()).collect();
        assert!(only_english(&english).is_ok());
        let russian: Vec<u8> = Key::ALL.iter().flat_map(|key| Lang::Ru.text(*key).bytes()).collect();
        assert!(matches!(only_english(&russian), Err(ConsoleError::Linked("Русский"))));
    }
}
