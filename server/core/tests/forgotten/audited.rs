// It forgets whether the audit keeps its changes.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience counted unique_name bytes label fields event);
}
