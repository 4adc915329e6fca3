// It has a column whose value is none that the store knows.

include!("complete/scope.rs");

impl Kind for Scope {
    facts!(WORD Id Table FOR_AGENTS id project cluster audience audited counted unique_name bytes);

    const COLUMNS: &'static [Column<Self>] = &[Column {
        name: "public_id",
        type_: Type::Bytes,
        value: |o| o.id,
    }];
}
