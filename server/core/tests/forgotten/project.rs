// It forgets whose it is.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD COLUMNS FOR_AGENTS cluster audience audited counted unique_name bytes);
}
