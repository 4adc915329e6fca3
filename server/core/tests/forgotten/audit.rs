// It forgets what the audit calls it.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes label fields event);
}
