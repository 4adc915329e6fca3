//! From the linked wasm to the files that a browser loads: the main module, its JavaScript shell, and the
//! parts that come when they are first wanted.
//!
//! What `#[wasm_split]` marks in the console is cut off here, before wasm-bindgen, which sees the main
//! module alone. A third file links them: the shell imports it, and it fetches the parts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ConsoleError, File, at, hashed};

/// What every part's path begins with.
const PREFIX: &str = "assets/part-";

/// How the shell and the link name one another, until they have names with hashes.
const SHELL: &str = "./console.js";
const LINK: &str = "./link.js";

/// Features that rustc's wasm has and `wasm-opt` must be told, or it refuses the module.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-multivalue",
];

/// The files of the program.
pub(super) struct Pieces {
    /// The main module.
    pub(super) wasm: File,
    /// Its shell.
    pub(super) shell: File,
    /// What the shell loads parts with.
    pub(super) link: File,
    /// The parts, in the order of their names.
    pub(super) parts: Vec<File>,
}

/// Whether a first visit does without it.
pub(super) fn is_part(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Makes the pieces out of the linked `wasm`, in the folder `out`, which is made anew.
pub(super) fn pieces(wasm: &[u8], out: &Path, optimiser: Option<&Path>) -> Result<Pieces, ConsoleError> {
    if out.exists() {
        fs::remove_dir_all(out).map_err(at(out))?;
    }
    fs::create_dir_all(out).map_err(at(out))?;
    let main = out.join("main.wasm");
    let mut parts = split(wasm, out, &main).map_err(ConsoleError::Split)?;
    parts.sort();
    let main = fs::read(&main).map_err(at(&main))?;
    bindgen(&main, out).map_err(ConsoleError::Bindgen)?;

    let main = out.join("console_bg.wasm");
    if let Some(optimiser) = optimiser {
        for wasm in parts.iter().chain([&main]) {
            optimise(optimiser, wasm)?;
        }
    }
    let main = fs::read(&main).map_err(at(&main))?;
    let text = |name: &str| {
        let path = out.join(name);
        fs::read_to_string(&path).map_err(at(&path))
    };
    let (shell, mut link) = (text(SHELL)?, text(LINK)?);
    let mut files = Vec::new();
    for path in parts {
        let bytes = fs::read(&path).map_err(at(&path))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.trim_start_matches("split_").replace('_', "-");
        let hashed = hashed(&format!("part-{name}"), "wasm", &bytes);
        link = renamed(&link, &format!("./{stem}.wasm"), &hashed)?;
        files.push((hashed, bytes));
    }
    let (shell, link) = named(&shell, &link)?;
    Ok(Pieces {
        wasm: (hashed("console", "wasm", &main), main),
        shell,
        link,
        parts: files,
    })
}

/// Gives the shell and the link their names. Each names the other, so both carry the hash of both.
fn named(shell: &str, link: &str) -> Result<(File, File), ConsoleError> {
    let both = [shell.as_bytes(), link.as_bytes()].concat();
    let (shell_name, link_name) = (hashed("console", "js", &both), hashed("link", "js", &both));
    let shell = renamed(shell, LINK, &link_name)?;
    let link = renamed(link, SHELL, &shell_name)?;
    Ok(((shell_name, shell.into_bytes()), (link_name, link.into_bytes())))
}

/// `text` with another name for the neighbour it loads as `from`; the file at `to` is beside it.
fn renamed(text: &str, from: &str, to: &str) -> Result<String, ConsoleError> {
    let to = to.trim_start_matches("assets/");
    let mut out = text.to_owned();
    for before in ["from ", "new URL("] {
        for quote in ['"', '\''] {
            out = out.replace(
                &format!("{before}{quote}{from}{quote}"),
                &format!("{before}{quote}./{to}{quote}"),
            );
        }
    }
    match out == text {
        true => Err(ConsoleError::Split(format!("nothing loads {from}"))),
        false => Ok(out),
    }
}

/// Cuts the parts off. The main module is at `main` afterwards; says where the parts are.
fn split(wasm: &[u8], out: &Path, main: &Path) -> Result<Vec<PathBuf>, String> {
    let mut options = wasm_split_cli_support::Options::new(wasm);
    options.output_dir = out;
    options.main_out_path = main;
    options.main_module = SHELL;
    options.link_name = LINK;
    options.emit_dwarf = false;
    wasm_split_cli_support::transform(options)
        .map(|split| split.split_modules)
        .map_err(|error| format!("{error:#}"))
}

/// Runs wasm-bindgen, as a library, into `out`.
fn bindgen(wasm: &[u8], out: &Path) -> Result<(), String> {
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen
        .input_bytes("console", wasm.to_vec())
        .web(true)
        .map_err(|error| format!("{error:#}"))?
        .typescript(false)
        // The parts share the main module's memory, table and stack.
        .keep_lld_exports(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out)
        .map_err(|error| format!("{error:#}"))
}

/// Shrinks a wasm file in place.
fn optimise(optimiser: &Path, wasm: &Path) -> Result<(), ConsoleError> {
    let output = Command::new(optimiser)
        .args(WASM_FEATURES)
        .args(["-Oz", "--strip-debug", "--output"])
        .arg(wasm)
        .arg(wasm)
        .output()
        .map_err(at(optimiser))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(ConsoleError::Optimise(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_and_link_find_one_another_and_change_names_together() {
        let (shell, link) = named("import * as a from './link.js'", "import {b} from \"./console.js\";").unwrap();
        let name = |file: &File| file.0.trim_start_matches("assets/").to_owned();
        let text = |file: &File| String::from_utf8(file.1.clone()).unwrap();
        assert_eq!(text(&shell), format!("import * as a from './{}'", name(&link)));
        assert_eq!(text(&link), format!("import {{b}} from \"./{}\";", name(&shell)));
        let (other, _) = named("import * as a from './link.js'", "import {c} from \"./console.js\";").unwrap();
        assert_ne!(shell.0, other.0, "a new link needs a new shell");
    }

    #[test]
    fn a_neighbour_that_nothing_loads_is_an_error() {
        assert!(matches!(
            renamed("fetch('/a')", "./a.wasm", "assets/part-a-0.wasm"),
            Err(ConsoleError::Split(_))
        ));
        assert!(is_part("assets/part-a-0.wasm") && !is_part("assets/console-0.wasm"));
    }
}
