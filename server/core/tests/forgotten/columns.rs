// It forgets its columns, be they none.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes label fields event);
}
