// It forgets who may learn of a change of it.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audited counted unique_name bytes label fields event);
}
