// It forgets whether agents are sent something of it.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table COLUMNS AUDIT BORN id project cluster audience audited counted unique_name bytes label fields event);
}
