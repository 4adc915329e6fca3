// It forgets the word that refusals use.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(Id Table COLUMNS AUDIT FOR_AGENTS BORN id project cluster audience audited counted unique_name bytes label fields event);
}
