// It forgets whether its name is unique.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD COLUMNS FOR_AGENTS project cluster audience audited counted bytes);
}
