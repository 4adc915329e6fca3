//! Statements prepared on a connection, and a batch as their parameters.

use portolan_core::model::ObjectKind;
use portolan_core::model::{Type, Value};
use tokio_postgres::types::{ToSql, Type as PgType};
use tokio_postgres::{Client, Statement};

use super::failed;
use super::history::HEAD;
use crate::StoreError;
use crate::rows::{self, KindRows, Net};
use crate::upgrade::BODY_VERSION;

/// A connection with what is prepared on it.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) take_head: Statement,
    set_head: Statement,
    insert_changes: Statement,
    insert_addresses: Statement,
    delete_addresses: Statement,
    /// By kind: delete, update, insert.
    kinds: Vec<(ObjectKind, [Statement; 3])>,
}

pub(super) async fn prepare(client: Client) -> Result<Session, StoreError> {
    let (bytes, ints, texts) = (PgType::BYTEA_ARRAY, PgType::INT8_ARRAY, PgType::TEXT_ARRAY);
    let take_head = client
        .prepare(&format!("SELECT {HEAD} FROM head WHERE one = 1 FOR UPDATE"))
        .await
        .map_err(failed)?;
    let set_head = client
        .prepare_typed(
            "UPDATE head SET revision = $1, change_rows = change_rows + $2 WHERE one = 1",
            &[PgType::INT8, PgType::INT8],
        )
        .await
        .map_err(failed)?;
    let insert_changes = client
        .prepare_typed(
            &format!(
                "INSERT INTO changes (position, at, kind, id, project, cluster, op, actor, body, body_version, \
             audited, made, through, by_provider, request) \
             SELECT position, at, kind, id, project, cluster, op, actor, body, {BODY_VERSION}, \
             audited, made, through, by_provider, request \
             FROM UNNEST($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             AS u (position, at, kind, id, project, cluster, op, actor, body, \
             audited, made, through, by_provider, request)"
            ),
            &[
                ints.clone(),
                ints.clone(),
                texts.clone(),
                bytes.clone(),
                bytes.clone(),
                bytes.clone(),
                ints.clone(),
                bytes.clone(),
                bytes.clone(),
                ints.clone(),
                ints.clone(),
                ints.clone(),
                ints.clone(),
                bytes.clone(),
            ],
        )
        .await
        .map_err(failed)?;
    let insert_addresses = client
        .prepare_typed(
            "INSERT INTO port_addresses (subnet, address, port) \
             SELECT subnet, address, port FROM UNNEST($1, $2, $3) AS u (subnet, address, port)",
            &[bytes.clone(), bytes.clone(), bytes.clone()],
        )
        .await
        .map_err(failed)?;
    let delete_addresses = client
        .prepare_typed(
            "DELETE FROM port_addresses USING UNNEST($1, $2) AS u (subnet, address) \
             WHERE port_addresses.subnet = u.subnet AND port_addresses.address = u.address",
            &[bytes.clone(), bytes.clone()],
        )
        .await
        .map_err(failed)?;
    let mut kinds = Vec::new();
    for kind in ObjectKind::ALL {
        let table = kind.table();
        let delete = client
            .prepare_typed(
                &format!("DELETE FROM {table} WHERE id = ANY($1)"),
                std::slice::from_ref(&bytes),
            )
            .await
            .map_err(failed)?;
        let update = client
            .prepare_typed(
                &format!(
                    "UPDATE {table} SET project = u.project, revision = u.revision, body = u.body, \
                     body_version = {BODY_VERSION} \
                     FROM UNNEST($1, $2, $3, $4) AS u (id, project, revision, body) WHERE {table}.id = u.id"
                ),
                &[bytes.clone(), bytes.clone(), ints.clone(), bytes.clone()],
            )
            .await
            .map_err(failed)?;
        let extra = kind.columns();
        let names: String = extra.iter().map(|(name, _)| format!(", {name}")).collect();
        let marks: String = (0..extra.len()).map(|n| format!(", ${}", n + 5)).collect();
        let mut types = vec![bytes.clone(), bytes.clone(), ints.clone(), bytes.clone()];
        types.extend(extra.iter().map(|(_, type_)| match type_ {
            Type::Bytes => bytes.clone(),
            Type::Int => ints.clone(),
            Type::Text => texts.clone(),
        }));
        let insert = client
            .prepare_typed(
                &format!(
                    "INSERT INTO {table} (id, project, revision, body, body_version{names}) \
                     SELECT id, project, revision, body, {BODY_VERSION}{names} FROM UNNEST($1, $2, $3, $4{marks}) \
                     AS u (id, project, revision, body{names})"
                ),
                &types,
            )
            .await
            .map_err(failed)?;
        kinds.push((*kind, [delete, update, insert]));
    }
    Ok(Session {
        client,
        take_head,
        set_head,
        insert_changes,
        insert_addresses,
        delete_addresses,
        kinds,
    })
}

pub(super) type Params = Vec<Box<dyn ToSql + Sync + Send>>;

/// What a batch comes to as statements with their parameters, in order: all that is deleted goes
/// before anything is inserted, since unique values may change hands.
pub(super) fn statements<'s>(session: &'s Session, net: &Net) -> Vec<(&'s Statement, Params)> {
    let mut first: Vec<(&Statement, Params)> = Vec::new();
    let mut then: Vec<(&Statement, Params)> = Vec::new();
    if !net.address_deletes.is_empty() {
        first.push((&session.delete_addresses, address_params(&net.address_deletes, false)));
    }
    for (kind, rows) in &net.kinds {
        let Some((_, [delete, update, insert])) = session.kinds.iter().find(|(k, _)| k == kind) else {
            continue;
        };
        let KindRows {
            deletes,
            updates,
            inserts,
        } = rows;
        if !deletes.is_empty() {
            first.push((delete, vec![Box::new(deletes.clone())]));
        }
        if !updates.is_empty() {
            first.push((update, object_params(net, updates)));
        }
        if !inserts.is_empty() {
            let mut params = object_params(net, inserts);
            for (n, (_, type_)) in kind.columns().iter().enumerate() {
                let values = || inserts.iter().map(|row| &row.extra[n]);
                params.push(match type_ {
                    Type::Bytes => Box::new(values().map(bytes_of).collect::<Vec<_>>()),
                    Type::Int => Box::new(values().map(int_of).collect::<Vec<_>>()),
                    Type::Text => Box::new(values().map(text_of).collect::<Vec<_>>()),
                });
            }
            then.push((insert, params));
        }
    }
    if !net.address_inserts.is_empty() {
        then.push((&session.insert_addresses, address_params(&net.address_inserts, true)));
    }
    let changes = &net.changes;
    let params: Params = vec![
        Box::new(changes.iter().map(|c| c.position).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.at).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.kind.table()).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.id.clone()).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.project.clone()).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.cluster.clone()).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.op).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.actor.to_vec()).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.body.clone()).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.audited).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.made).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.through).collect::<Vec<_>>()),
        Box::new(changes.iter().map(|c| c.by_provider).collect::<Vec<_>>()),
        Box::new(
            changes
                .iter()
                .map(|c| c.request().map(<[u8]>::to_vec))
                .collect::<Vec<_>>(),
        ),
    ];
    then.push((&session.insert_changes, params));
    let head: Params = vec![
        Box::new(i64::try_from(net.revision).unwrap_or(i64::MAX)),
        Box::new(net.changes.len() as i64),
    ];
    then.push((&session.set_head, head));
    first.extend(then);
    first
}

fn address_params(rows: &[rows::AddressRow], with_port: bool) -> Params {
    let mut params: Params = vec![
        Box::new(rows.iter().map(|row| row.subnet.clone()).collect::<Vec<_>>()),
        Box::new(rows.iter().map(|row| row.address.clone()).collect::<Vec<_>>()),
    ];
    if with_port {
        params.push(Box::new(rows.iter().map(|row| row.port.clone()).collect::<Vec<_>>()));
    }
    params
}

fn object_params(net: &Net, rows: &[rows::ObjectRow]) -> Params {
    let changes = || rows.iter().map(|row| &net.changes[row.change]);
    vec![
        Box::new(changes().map(|c| c.id.clone()).collect::<Vec<_>>()),
        Box::new(changes().map(|c| c.project.clone()).collect::<Vec<_>>()),
        Box::new(rows.iter().map(|row| row.revision).collect::<Vec<_>>()),
        Box::new(changes().map(|c| c.body.clone()).collect::<Vec<_>>()),
    ]
}

fn bytes_of(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

fn int_of(value: &Value) -> Option<i64> {
    match value {
        Value::Int(int) => Some(*int),
        _ => None,
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}
