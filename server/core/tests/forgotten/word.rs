// It forgets the word that refusals use.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(COLUMNS FOR_AGENTS project cluster audience audited counted unique_name bytes);
}
