// It says everything, and compiles.

include!("scope.rs");

impl Kind for Scope {
    facts!(WORD COLUMNS FOR_AGENTS project cluster audience audited counted unique_name bytes);
}
