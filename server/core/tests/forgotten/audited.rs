// It forgets whether the audit keeps its changes.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD COLUMNS FOR_AGENTS project cluster audience counted unique_name bytes);
}
