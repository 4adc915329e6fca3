//! The licence texts that a package carries, as far as they say something that LICENSE does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Package, Packages};
use crate::process::Failed;

/// How a file's name says whose text is in it: part of the name in capitals, and the licence.
const NAMED: [(&str, &str); 9] = [
    ("APACHE", "Apache-2.0"),
    ("UNLICENSE", "Unlicense"),
    ("MIT", "MIT"),
    ("BSD", "BSD-3-Clause"),
    ("ISC", "ISC"),
    ("ZLIB", "Zlib"),
    ("UNICODE", "Unicode-3.0"),
    ("BOOST", "BSL-1.0"),
    ("CC0", "CC0-1.0"),
];

/// Texts that packages carry deeper within: of what they brought along themselves.
const DEEPER: [(&str, &str); 1] = [("aws-lc-sys", "aws-lc/third_party/fiat/LICENSE")];

/// Packages that carry the plain text of a licence, for those that carry none.
const STANDARD: [(&str, &str); 1] = [("MIT", "tokio")];

/// A text, and what it is called; the same text of many packages is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text {
    /// Licences, or that it is a notice.
    pub title: String,
    /// As the package has it, apart from blanks at the ends.
    pub body: String,
}

/// The texts that go with a package which is used under `chosen`, each with what is to be said of whose it is.
pub(super) fn texts(
    package: &Package,
    chosen: &BTreeSet<String>,
    all: &Packages,
) -> Result<Vec<(Text, String)>, Failed> {
    // LICENSE has the text of this one.
    let others: BTreeSet<&str> = chosen
        .iter()
        .map(String::as_str)
        .filter(|id| *id != "Apache-2.0")
        .collect();
    let title = others.iter().copied().collect::<Vec<_>>().join(", ");
    let names = files(&package.folder)?;
    let mut paths: Vec<(&str, &str)> = names
        .iter()
        .filter(|name| name.to_ascii_uppercase().starts_with("NOTICE"))
        .map(|name| ("Notice", name.as_str()))
        .collect();
    if !others.is_empty() {
        let licences = licences(&names, &others);
        if licences.is_empty() {
            return Ok(vec![without_a_text(package, &title, all)?]);
        }
        let deeper = DEEPER.iter().filter(|(name, _)| *name == package.name);
        let licences = licences.into_iter().chain(deeper.map(|(_, path)| *path));
        paths.extend(licences.map(|path| (title.as_str(), path)));
    }
    let read = |(title, path)| Ok((read(title, &package.folder.join(path), |_| true)?, String::new()));
    paths.into_iter().map(read).collect()
}

/// Of these files, those with the texts of `licences`: whose names say so, else those whose names say nothing.
fn licences<'a>(files: &'a BTreeSet<String>, licences: &BTreeSet<&str>) -> Vec<&'a str> {
    let starts = ["LICENSE", "LICENCE", "UNLICENSE", "COPYING"];
    let (mut named, mut plain) = (Vec::new(), Vec::new());
    for file in files {
        let upper = file.to_ascii_uppercase();
        if !starts.iter().any(|start| upper.starts_with(start)) {
            continue;
        }
        match NAMED.iter().find(|(part, _)| upper.contains(part)) {
            Some((_, id)) if licences.contains(id) => named.push(file.as_str()),
            Some(_) => {}
            None => plain.push(file.as_str()),
        }
    }
    if named.is_empty() { plain } else { named }
}

/// Names of the files in a package's folder, in order.
fn files(folder: &Path) -> Result<BTreeSet<String>, Failed> {
    let failed = |error: std::io::Error| Failed::Other(format!("{}: {error}", folder.display()));
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}

/// A text as it is in a file: the lines that are `kept`, without blanks at their ends or empty lines around them all.
fn read(title: &str, path: &Path, kept: impl Fn(&str) -> bool) -> Result<Text, Failed> {
    let text = fs::read_to_string(path).map_err(|error| Failed::Other(format!("{}: {error}", path.display())))?;
    let lines = text.lines().map(str::trim_end).filter(|line| kept(line));
    Ok(Text {
        title: title.to_owned(),
        body: lines.collect::<Vec<_>>().join("\n").trim_matches('\n').to_owned(),
    })
}

/// For a package that carries no text: the plain one, where another package has it, and who wrote the package.
fn without_a_text(package: &Package, title: &str, all: &Packages) -> Result<(Text, String), Failed> {
    let whose = match package.authors.as_slice() {
        [] => " (which names no authors)".to_owned(),
        named => {
            // Where to write to them is nobody's business here.
            let name = |author: &String| author.split(" <").next().unwrap_or_default().to_owned();
            format!(" (by {})", named.iter().map(name).collect::<Vec<_>>().join(", "))
        }
    };
    let carrier = STANDARD.iter().find(|(id, _)| *id == title).map(|(_, name)| *name);
    let carrier = all
        .values()
        .find(|(known, _)| Some(known.name.as_str()) == carrier)
        .map(|(known, _)| known);
    let text = match carrier {
        // Whose copyright it is does not carry over.
        Some(carrier) => read(title, &carrier.folder.join("LICENSE"), |line| {
            !line.starts_with("Copyright")
        })?,
        None => Text {
            title: title.to_owned(),
            body: "The package carries no licence text; this is what its manifest says.".to_owned(),
        },
    };
    Ok((text, whose))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], chosen: &[&str]) -> Vec<String> {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        let found = licences(&files, &chosen.iter().copied().collect());
        found.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_text_is_found_by_its_files_name() {
        assert_eq!(
            found(&["COPYING", "LICENSE-MIT", "README.md", "UNLICENSE"], &["MIT"]),
            ["LICENSE-MIT"]
        );
        assert_eq!(
            found(&["LICENSE", "LICENSE.httprouter"], &["BSD-3-Clause", "MIT"]),
            ["LICENSE", "LICENSE.httprouter"]
        );
        assert!(found(&["LICENSE-APACHE", "src"], &["MIT"]).is_empty());
    }
}
