//! Builds the console: Rust to wasm, its JavaScript shell, one stylesheet, one page.
//!
//! Writes `frontend/dist` and nothing else in the checkout. What a browser downloads is hashed into
//! file names, so that everything under `assets/` may be cached for ever and `index.html` never.
//! Nothing inline is made: the server's content security policy is
//! `script-src 'self' 'wasm-unsafe-eval'; style-src 'self'`.
//!
//! Start at [`build`].

mod compile;
mod pieces;
mod style;
mod texts;

pub use compile::tried;

use std::env;
use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a first visit should download, brotli-compressed (bytes): the page, its style and picture, and the
/// program without the parts that come later.
pub const GOAL: usize = 200_000;

/// What a first visit may download today. It only ever comes down, until it is [`GOAL`]; it went up once, by half a
/// kilobyte of sentences that say what fails between nodes and what was taken away from one.
pub const BUDGET: usize = 261_500;

/// What all of it may weigh together in one language, compressed: parts are not where weight may hide. It grew once,
/// by a third group of parts, each of which compresses by itself: 38 KB less at first for 22 KB more in all. It grows by what
/// a new page weighs: some 2.4 KB for a list; half a kilobyte for what the audit says of losses and a node of a pause; 2 KB for
/// host ports, which a port's row brings as what they are.
pub const ALTOGETHER: usize = 531_000;

/// How much care the build takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build, large: neither `wasm-opt` nor brotli.
    Dev,
    /// As it ships: small, compressed, held to [`BUDGET`].
    Release,
}

impl Profile {
    /// The cargo profile of that name.
    fn cargo(self) -> &'static str {
        match self {
            Profile::Dev => "wasm-dev",
            Profile::Release => "wasm-release",
        }
    }
}

/// Which compiler makes wasm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Compiler {
    /// The toolchain that runs this if it has the standard library's sources, else Debian's.
    #[default]
    Auto,
    /// The toolchain that runs this, which must have rustup's component `rust-src`.
    Rustup,
    /// Debian's `rustc-web`, `cargo-web` and `rust-web-src`.
    Debian,
}

/// One file of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Path below `frontend/dist`.
    pub path: String,
    /// Bytes as they are.
    pub size: usize,
    /// Bytes after brotli 11; absent in [`Profile::Dev`].
    pub compressed: Option<usize>,
}

/// What a build made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every file a browser may download, `index.html` first.
    pub assets: Vec<Asset>,
    /// Whether `wasm-opt` was there and ran.
    pub optimised: bool,
    /// Nothing had changed since the last build of this profile.
    pub unchanged: bool,
}

impl Report {
    /// Compressed bytes of all files that a first visit downloads; `None` where they were not compressed.
    pub fn first(&self) -> Option<usize> {
        self.compressed(|path| texts::is_first(path) && !pieces::is_part(path))
    }

    /// Compressed bytes of all files that somebody downloads who looks at every page, in one language.
    pub fn altogether(&self) -> Option<usize> {
        self.compressed(texts::is_first)
    }

    /// Whether it keeps to [`BUDGET`] and [`ALTOGETHER`]; what was not compressed is not weighed.
    pub fn within(&self) -> bool {
        let keeps = |weight: Option<usize>, limit| weight.is_none_or(|weight| weight <= limit);
        keeps(self.first(), BUDGET) && keeps(self.altogether(), ALTOGETHER)
    }

    /// Compressed bytes of those whose path is `counted`.
    fn compressed(&self, counted: impl Fn(&str) -> bool) -> Option<usize> {
        let counted = self.assets.iter().filter(|asset| counted(&asset.path));
        counted.map(|asset| asset.compressed).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for asset in &self.assets {
            match asset.compressed {
                Some(compressed) => writeln!(
                    f,
                    "  {:<40} {:>9} bytes, {:>7} compressed",
                    asset.path, asset.size, compressed
                )?,
                None => writeln!(f, "  {:<40} {:>9} bytes", asset.path, asset.size)?,
            }
        }
        match (self.first(), self.altogether()) {
            (Some(first), Some(all)) => write!(
                f,
                "console: first {first} of {BUDGET} bytes compressed, the goal is {GOAL}; altogether {all} of {ALTOGETHER}"
            ),
            _ => write!(f, "console: {} files, not compressed", self.assets.len()),
        }?;
        if self.unchanged {
            write!(f, " (unchanged)")
        } else {
            Ok(())
        }
    }
}

/// Why the console was not built.
#[derive(Debug)]
pub enum ConsoleError {
    /// No compiler for wasm is installed; the text says what would help.
    NoCompiler(String),
    /// The compiler refused; it has said why on stderr.
    Compile {
        /// What was run.
        program: String,
        /// Its exit code, where it had one.
        code: Option<i32>,
    },
    /// The parts that are loaded on demand could not be cut off.
    Split(String),
    /// wasm-bindgen could not make the JavaScript shell.
    Bindgen(String),
    /// `wasm-opt` failed; its words.
    Optimise(String),
    /// A stylesheet is named by the entry file and not there, or the other way round.
    Style(String),
    /// A language that should be a file of its own is in the program.
    Linked(&'static str),
    /// More than [`BUDGET`] bytes at first, or than [`ALTOGETHER`] together.
    TooLarge(Box<Report>),
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl fmt::Display for ConsoleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConsoleError::NoCompiler(help) => write!(f, "no compiler for wasm: {help}"),
            ConsoleError::Compile {
                program,
                code: Some(code),
            } => write!(f, "{program} ended with code {code}"),
            ConsoleError::Compile { program, code: None } => write!(f, "{program} was killed"),
            ConsoleError::Split(why) => write!(f, "wasm-split: {why}"),
            ConsoleError::Bindgen(why) => write!(f, "wasm-bindgen: {why}"),
            ConsoleError::Optimise(why) => write!(f, "wasm-opt: {why}"),
            ConsoleError::Style(why) => write!(f, "style/: {why}"),
            ConsoleError::Linked(language) => write!(f, "the texts in {language} are linked into the console"),
            ConsoleError::TooLarge(report) => write!(f, "the console is over its budget\n{report}"),
            ConsoleError::Io { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for ConsoleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConsoleError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Attaches the path to an input or output error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> ConsoleError + '_ {
    move |source| ConsoleError::Io {
        path: path.to_path_buf(),
        source,
    }
}

/// Builds the console of the checkout at `root` into `frontend/dist`.
///
/// `target_dir` is cargo's target folder for wasm; without it the environment's
/// `WASM_TARGET_DIR`, else `target/wasm` in the checkout. It must not be the host's: two compilers
/// that share one throw away each other's work.
///
/// Does nothing after compiling when neither the wasm nor the styles differ from the last build.
pub fn build(
    root: &Path,
    profile: Profile,
    compiler: Compiler,
    target_dir: Option<&Path>,
) -> Result<Report, ConsoleError> {
    let target_dir = target_dir
        .map(Path::to_path_buf)
        .or_else(|| env::var_os("WASM_TARGET_DIR").map(PathBuf::from))
        .unwrap_or_else(|| root.join("target/wasm"));
    let wasm_path = compile::compile(root, profile, compiler, &target_dir)?;
    let wasm = fs::read(&wasm_path).map_err(at(&wasm_path))?;
    let css = style::stylesheet(&root.join("style"))?;
    let rose_path = root.join("style/rose.svg");
    let rose = fs::read(&rose_path).map_err(at(&rose_path))?;
    let texts = texts::files();
    if profile == Profile::Release {
        texts::only_english(&wasm)?;
    }

    let optimiser = Some(root.join("e2e/node_modules/.bin/wasm-opt")).filter(|path| path.exists());
    let optimiser = optimiser.filter(|_| profile == Profile::Release);
    let dist = root.join("frontend/dist");
    let stamp_path = target_dir.join("console.stamp");
    let said: Vec<u8> = texts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let stamp = stamp(&[
        &wasm,
        &said,
        css.as_bytes(),
        &rose,
        INDEX.as_bytes(),
        BOOT.as_bytes(),
        &[profile as u8, optimiser.is_some() as u8],
    ]);
    if fs::read_to_string(&stamp_path).is_ok_and(|last| last == stamp)
        && let Ok(report) = read_back(&dist, optimiser.is_some())
    {
        return gate(report);
    }

    let files = assemble(&wasm, &css, &rose, texts, &target_dir, optimiser.as_deref())?;
    let report = write_out(&dist, &files, profile, optimiser.is_some())?;
    let report = gate(report)?;
    fs::write(&stamp_path, stamp).map_err(at(&stamp_path))?;
    Ok(report)
}

/// Refuses what is over the budget.
fn gate(report: Report) -> Result<Report, ConsoleError> {
    match report.within() {
        true => Ok(report),
        false => Err(ConsoleError::TooLarge(Box::new(report))),
    }
}

/// A file of the result: path below `dist`, and bytes.
type File = (String, Vec<u8>);

/// Makes every file of the result, in memory.
fn assemble(
    wasm: &[u8],
    css: &str,
    rose: &[u8],
    texts: Vec<File>,
    work: &Path,
    optimiser: Option<&Path>,
) -> Result<Vec<File>, ConsoleError> {
    let out = work.join("console-bindgen");
    let pieces = pieces::pieces(wasm, &out, optimiser)?;
    let boot = BOOT
        .replace("{js}", &pieces.shell.0)
        .replace("{wasm}", &pieces.wasm.0)
        .into_bytes();
    let boot_name = hashed("boot", "js", &boot);
    let css_name = hashed("console", "css", css.as_bytes());
    let rose_name = hashed("rose", "svg", rose);
    let index = INDEX
        .replace("{boot}", &boot_name)
        .replace("{css}", &css_name)
        .replace("{texts}", &texts::meta(&texts))
        .replace("{rose}", &rose_name);

    let mut files = vec![
        ("index.html".to_owned(), index.into_bytes()),
        (boot_name, boot),
        (css_name, css.as_bytes().to_vec()),
        pieces.shell,
        pieces.link,
        pieces.wasm,
        (rose_name, rose.to_vec()),
    ];
    files.extend(pieces.parts);
    files.extend(texts);
    let snippets = out.join("snippets");
    if snippets.exists() {
        collect(&snippets, "assets/snippets", &mut files)?;
    }
    Ok(files)
}

/// Every file below `folder`, under `prefix`, in the order of their names.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) -> Result<(), ConsoleError> {
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(at(folder))?;
    entries.sort();
    for path in entries {
        let name = format!("{prefix}/{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            collect(&path, &name, files)?;
        } else {
            files.push((name, fs::read(&path).map_err(at(&path))?));
        }
    }
    Ok(())
}

/// Replaces `dist` by `files`.
fn write_out(dist: &Path, files: &[File], profile: Profile, optimised: bool) -> Result<Report, ConsoleError> {
    if dist.exists() {
        fs::remove_dir_all(dist).map_err(at(dist))?;
    }
    let mut assets = Vec::new();
    for (name, bytes) in files {
        let path = dist.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        fs::write(&path, bytes).map_err(at(&path))?;
        let compressed = match profile {
            Profile::Dev => None,
            Profile::Release => {
                let path = dist.join(format!("{name}.br"));
                let bytes = brotli(bytes).map_err(at(&path))?;
                fs::write(&path, &bytes).map_err(at(&path))?;
                Some(bytes.len())
            }
        };
        assets.push(Asset {
            path: name.clone(),
            size: bytes.len(),
            compressed,
        });
    }
    Ok(Report {
        assets,
        optimised,
        unchanged: false,
    })
}

/// What the last build left, for a build that has nothing to do.
fn read_back(dist: &Path, optimised: bool) -> Result<Report, ConsoleError> {
    let mut files = Vec::new();
    collect(dist, "", &mut files)?;
    let size = |name: &str| {
        files
            .iter()
            .find(|(path, _)| path == name)
            .map(|(_, bytes)| bytes.len())
    };
    let mut assets: Vec<Asset> = files
        .iter()
        .filter(|(path, _)| !path.ends_with(".br"))
        .map(|(path, bytes)| Asset {
            path: path.trim_start_matches('/').to_owned(),
            size: bytes.len(),
            compressed: size(&format!("{path}.br")),
        })
        .collect();
    assets.sort_by_key(|asset| asset.path != "index.html");
    if assets.first().is_none_or(|asset| asset.path != "index.html") {
        return Err(ConsoleError::Io {
            path: dist.join("index.html"),
            source: io::Error::from(io::ErrorKind::NotFound),
        });
    }
    Ok(Report {
        assets,
        optimised,
        unchanged: true,
    })
}

/// Brotli at its slowest, as a server would send it.
fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 11, 22);
    writer.write_all(bytes)?;
    Ok(writer.into_inner())
}

/// `assets/name-hash.extension`, where the hash is the content's.
fn hashed(name: &str, extension: &str, bytes: &[u8]) -> String {
    format!("assets/{name}-{:016x}.{extension}", fnv1a(bytes, FNV_OFFSET))
}

/// Start value of [`fnv1a`].
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits: tells versions of our own files apart; nobody forges them.
fn fnv1a(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// One line that differs when any of the inputs does.
fn stamp(inputs: &[&[u8]]) -> String {
    let hash = inputs.iter().fold(FNV_OFFSET, |hash, bytes| {
        fnv1a(bytes, fnv1a(&(bytes.len() as u64).to_le_bytes(), hash))
    });
    format!("{hash:016x}")
}

/// The page. Everything it names is a file beside it.
const INDEX: &str = r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Portolan</title>
<link rel="icon" type="image/svg+xml" href="/{rose}">
<link rel="stylesheet" href="/{css}">
{texts}<script src="/{boot}"></script>
</head>
<body>
<noscript>Portolan needs JavaScript and WebAssembly. <span lang="ru">Для Portolan нужны JavaScript и WebAssembly.</span></noscript>
</body>
</html>
"##;

/// Runs before the first paint: the chosen theme, then the application.
const BOOT: &str = r#"(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("portolan.theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {}
  const wasm = fetch("/{wasm}");
  import("/{js}")
    .then((shell) => shell.default({ module_or_path: wasm }))
    .catch((error) => { root.dataset.boot = "failed"; console.error(error); });
})();
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_with_content_and_only_then() {
        assert_eq!(hashed("a", "js", b"one"), hashed("a", "js", b"one"));
        assert_ne!(hashed("a", "js", b"one"), hashed("a", "js", b"two"));
        assert_ne!(stamp(&[b"ab", b"c"]), stamp(&[b"a", b"bc"]));
    }

    #[test]
    fn over_the_budget_is_refused() {
        let asset = |path: &str, compressed| Asset {
            path: path.into(),
            size: 1,
            compressed,
        };
        let report = |assets| Report {
            assets,
            optimised: true,
            unchanged: false,
        };
        let first = asset("index.html", Some(BUDGET));
        assert!(gate(report(vec![first.clone()])).is_ok());
        assert!(matches!(
            gate(report(vec![first.clone(), asset("assets/console-0.js", Some(1))])),
            Err(ConsoleError::TooLarge(_))
        ));
        let rest = ALTOGETHER - BUDGET;
        let part = |weight| asset("assets/part-work-0.wasm", Some(weight));
        assert!(
            gate(report(vec![first.clone(), part(rest)])).is_ok(),
            "parts come later"
        );
        assert!(matches!(
            gate(report(vec![first.clone(), part(rest + 1)])),
            Err(ConsoleError::TooLarge(_))
        ));
        let language = asset("assets/texts-ru-0.txt", Some(ALTOGETHER));
        assert!(gate(report(vec![first, part(rest), language])).is_ok());
        assert!(
            gate(report(vec![asset("index.html", None)])).is_ok(),
            "a dev build is not weighed"
        );
    }

    #[test]
    fn the_page_has_nothing_inline() {
        assert!(!INDEX.contains("<style") && !INDEX.contains("style="));
        assert_eq!(INDEX.matches("<script").count(), INDEX.matches("<script src=").count());
    }
}
