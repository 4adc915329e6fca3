// It forgets its columns, be they none.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD FOR_AGENTS project cluster audience audited counted unique_name bytes);
}
