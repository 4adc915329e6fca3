// It forgets its id.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN project cluster audience audited counted unique_name bytes label fields event);
}
