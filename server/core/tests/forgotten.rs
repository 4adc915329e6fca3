//! A kind that forgets a fact of [`portolan_core::model::Kind`] does not compile.
//!
//! Each file of `forgotten/` is the same made-up kind with one fact left out or wrong; the file beside it holds what the
//! compiler answers. A fact that gets a default makes its file compile, and the test fails. A new fact makes
//! `forgotten/complete/kind.rs` fail; it then gets a file of its own.

/// The kind that says every fact. It is compiled here, because `TestCases::pass` builds all dependencies to the end, and a
/// check of them is enough for the others.
#[allow(dead_code)] // That it compiles is all that it is for.
#[path = "forgotten/complete/kind.rs"]
mod complete;

#[test]
fn a_kind_says_every_fact() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/forgotten/*.rs");
}
