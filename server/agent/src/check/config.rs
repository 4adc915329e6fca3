//! Reads what other programs are told: sections and values of files that are laid over each other.

use std::collections::BTreeMap;

/// Texts of configuration by path, as far as they are there.
pub(super) type Texts = BTreeMap<String, String>;

/// Those files of folders that end so, by name and in its order; of the same name that of the last folder counts.
pub(super) fn laid_over<'a>(texts: &'a Texts, folders: &[String], ending: &str) -> BTreeMap<&'a str, &'a str> {
    let mut files = BTreeMap::new();
    for folder in folders {
        for (path, text) in texts {
            let name = path
                .strip_prefix(folder.as_str())
                .and_then(|rest| rest.strip_prefix('/'));
            if let Some(name) = name.filter(|name| !name.contains('/') && name.ends_with(ending)) {
                files.insert(name, text.as_str());
            }
        }
    }
    files
}

/// The values of a key in a section, in their order. A key that is added to (`key+=`) counts as well.
pub(super) fn values<'a>(text: &'a str, section: &str, key: &str) -> Vec<&'a str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name == section;
        } else if inside && let Some((name, value)) = line.split_once('=') {
            let name = name.trim_end();
            if name.strip_suffix('+').unwrap_or(name).trim_end() == key {
                found.push(value.trim());
            }
        }
    }
    found
}

/// Whether a pattern with `*` and `?` fits a whole name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            ends.into_iter()
                .any(|at| name.get(at..).is_some_and(|name| fits(rest.as_str(), name)))
        }
        Some(first) => {
            let mut of = name.chars();
            let same = of.next().is_some_and(|one| first == '?' || one == first);
            same && fits(rest.as_str(), of.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_a_whole_name() {
        for (pattern, name, expected) in [
            ("ptl*", "ptl0a", true),
            ("*", "ptl0a", true),
            ("*0?", "ptl0a", true),
            ("ptl", "ptl0a", false),
            ("eth*", "ptl0a", false),
            ("ptl0a?", "ptl0a", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn values_are_those_of_their_section() {
        let text = "[A]\nkey=1\n# key=2\n[B]\nkey = 3\nkey+=4\n[A]\nkey=5\n";
        assert_eq!(values(text, "A", "key"), ["1", "5"]);
        assert_eq!(values(text, "B", "key"), ["3", "4"]);
    }

    #[test]
    fn the_last_folder_counts() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let texts = Texts::from([
            file("/etc/x.d/b.conf", "of etc"),
            file("/usr/x.d/b.conf", "of usr"),
            file("/usr/x.d/a.conf", "a"),
            file("/usr/x.d/a.txt", "not asked"),
            file("/usr/x.d/deep/a.conf", "too deep"),
        ]);
        let folders = ["/usr/x.d".to_owned(), "/etc/x.d".to_owned()];
        let found: Vec<_> = laid_over(&texts, &folders, ".conf").into_iter().collect();
        assert_eq!(found, [("a.conf", "a"), ("b.conf", "of etc")]);
    }
}
