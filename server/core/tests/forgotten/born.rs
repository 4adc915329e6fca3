// It forgets how the store came to have it.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS id project cluster audience audited counted unique_name bytes label fields event);
}
