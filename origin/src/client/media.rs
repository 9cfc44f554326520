//! Favourites and watch history, of the customer that the token names.

use admit::api::reply::Reply;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde_json::{Value, json};

use super::{Job, created, done, ok};
use crate::{
    db::DbError,
    limits::{FAVORITES_MAX, MEDIA_ID_MAX_BYTES, WATCH_HISTORY_MAX, WATCHED_FROM},
    text::shown,
    wire::{Fields, OriginError, Refused, form},
};

/// `GET /v2/accounts/media/favorites`
///
/// # Errors
/// If the database cannot be read.
pub fn favorites(job: &Job<'_>) -> Result<Reply, Refused> {
    let favorites = match job.person()? {
        Some(person) => all_favorites(job.connection, person.key)?,
        None => Vec::new(),
    };
    Ok(ok(&json!({"collection": favorites})))
}

/// `POST /v2/accounts/media/favorites`: a favourite that is in the list stays as it is.
///
/// # Errors
/// 404 for an unknown customer; 422 naming the field, or if the list is full.
pub fn add_favorite(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let person = job.known_person()?;
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let media_id = media_id(&fields);
    fields.finish()?;
    let (media_id, now) = (media_id.unwrap_or_default(), job.now);
    write(job, |transaction| {
        let sql = "INSERT INTO favorites (customer_key, media_id, created_at) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO NOTHING";
        transaction.prepare_cached(sql)?.execute(params![person.key, media_id, now])?;
        let sql = "SELECT count(*) FROM favorites WHERE customer_key = ?1";
        let count: usize = transaction.prepare_cached(sql)?.query_row([person.key], |row| row.get(0))?;
        if count > FAVORITES_MAX {
            let problem = format!("The media_id would be favourite {count} of at most {FAVORITES_MAX}");
            return Err(Refused::field("media_id", &problem));
        }
        let favorite = one_favorite(transaction, person.key, &media_id)?.ok_or(OriginError::NoMedium)?;
        Ok(created(&favorite))
    })
}

/// `GET /v2/accounts/media/favorites/{media_id}`
///
/// # Errors
/// 404 if it is not a favourite.
pub fn favorite(job: &Job<'_>) -> Result<Reply, Refused> {
    let person = job.known_person()?;
    let found = one_favorite(job.connection, person.key, &in_path(job)?)?;
    Ok(ok(&found.ok_or(OriginError::NoMedium)?))
}

/// `DELETE /v2/accounts/media/favorites/{media_id}`
///
/// # Errors
/// 404 if it is not a favourite.
pub fn remove_favorite(job: &mut Job<'_>) -> Result<Reply, Refused> {
    remove(job, "favorites")
}

/// `GET /v2/accounts/media/watch-history?filter=&cursor=`: one page has the whole list, so a cursor ends it.
///
/// # Errors
/// 422 for an unknown filter.
pub fn watch_history(job: &Job<'_>) -> Result<Reply, Refused> {
    let parameter = |name| Ok::<_, Refused>(form::parameter(&job.incoming.query, name)?.unwrap_or_default());
    let is_in: fn(f64) -> bool = match parameter("filter")?.as_str() {
        "" | "all" => |_| true,
        "watched" => |progress| progress >= WATCHED_FROM,
        "currently_watching" => |progress| progress < WATCHED_FROM,
        other => {
            let problem =
                format!("The filter must be all, watched or currently_watching, not {}", shown(other));
            return Err(Refused::field("filter", &problem));
        }
    };
    let watched = match job.person()? {
        Some(person) if parameter("cursor")?.is_empty() => all_watched(job.connection, person.key)?,
        _ => Vec::new(),
    };
    let is_in = |entry: &Value| entry.get("progress").and_then(Value::as_f64).is_some_and(is_in);
    let collection: Vec<_> = watched.into_iter().filter(is_in).collect();
    Ok(ok(&json!({"collection": collection})))
}

/// `PATCH /v2/accounts/media/watch-history`: players send it every few seconds.
///
/// # Errors
/// 404 for an unknown customer; 422 naming the fields.
pub fn watch(job: &mut Job<'_>) -> Result<Reply, Refused> {
    let person = job.known_person()?;
    let body = job.incoming.payload.read()?;
    let fields = Fields::new(&body);
    let media_id = media_id(&fields);
    let progress = fields.number("progress").and_then(|number| number.as_f64());
    let progress = progress.filter(|progress| (0.0..=1.0).contains(progress));
    if progress.is_none() {
        fields.wrong("progress", "must be a number from 0 to 1");
    }
    fields.finish()?;
    let (media_id, progress, now) = (media_id.unwrap_or_default(), progress.unwrap_or_default(), job.now);
    write(job, |transaction| {
        let sql = "INSERT INTO watch_history (customer_key, media_id, progress, created_at, updated_at)
                   VALUES (?1, ?2, ?3, ?4, ?4)
                   ON CONFLICT DO UPDATE SET progress = excluded.progress, updated_at = excluded.updated_at";
        transaction.prepare_cached(sql)?.execute(params![person.key, media_id, progress, now])?;
        // The media that were watched longest ago make room.
        let sql = "DELETE FROM watch_history WHERE customer_key = ?1 AND media_id IN (
                       SELECT media_id FROM watch_history WHERE customer_key = ?1
                       ORDER BY updated_at DESC, media_id = ?2 DESC LIMIT -1 OFFSET ?3)";
        transaction.prepare_cached(sql)?.execute(params![person.key, media_id, WATCH_HISTORY_MAX])?;
        let watched = one_watched(transaction, person.key, &media_id)?.ok_or(OriginError::NoMedium)?;
        Ok(ok(&watched))
    })
}

/// `GET /v2/accounts/media/watch-history/{media_id}`
///
/// # Errors
/// 404 if it was not watched.
pub fn watched(job: &Job<'_>) -> Result<Reply, Refused> {
    let person = job.known_person()?;
    let found = one_watched(job.connection, person.key, &in_path(job)?)?;
    Ok(ok(&found.ok_or(OriginError::NoMedium)?))
}

/// `DELETE /v2/accounts/media/watch-history/{media_id}`
///
/// # Errors
/// 404 if it was not watched.
pub fn remove_watched(job: &mut Job<'_>) -> Result<Reply, Refused> {
    remove(job, "watch_history")
}

/// Every favourite of a customer's row, newest first.
///
/// # Errors
/// If the database cannot be read.
pub fn all_favorites(connection: &Connection, key: i64) -> Result<Vec<Value>, DbError> {
    let sql = "SELECT media_id, created_at FROM favorites WHERE customer_key = ?1
               ORDER BY created_at DESC, media_id";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([key], favorite_json)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The whole watch history of a customer's row, the last first.
///
/// # Errors
/// If the database cannot be read.
pub fn all_watched(connection: &Connection, key: i64) -> Result<Vec<Value>, DbError> {
    let sql = "SELECT media_id, progress, created_at, updated_at FROM watch_history WHERE customer_key = ?1
               ORDER BY updated_at DESC, media_id";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([key], watched_json)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn one_favorite(connection: &Connection, key: i64, media_id: &str) -> Result<Option<Value>, DbError> {
    let sql = "SELECT media_id, created_at FROM favorites WHERE customer_key = ?1 AND media_id = ?2";
    let row = connection.prepare_cached(sql)?.query_row(params![key, media_id], favorite_json);
    Ok(row.optional()?)
}

fn one_watched(connection: &Connection, key: i64, media_id: &str) -> Result<Option<Value>, DbError> {
    let sql = "SELECT media_id, progress, created_at, updated_at FROM watch_history
               WHERE customer_key = ?1 AND media_id = ?2";
    let row = connection.prepare_cached(sql)?.query_row(params![key, media_id], watched_json);
    Ok(row.optional()?)
}

fn favorite_json(row: &Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({"media_id": row.get::<_, String>(0)?, "created_at": row.get::<_, i64>(1)?}))
}

fn watched_json(row: &Row<'_>) -> rusqlite::Result<Value> {
    Ok(json!({
        "media_id": row.get::<_, String>(0)?,
        "progress": row.get::<_, f64>(1)?,
        "created_at": row.get::<_, i64>(2)?,
        "updated_at": row.get::<_, i64>(3)?,
    }))
}

fn remove(job: &mut Job<'_>, table: &'static str) -> Result<Reply, Refused> {
    let person = job.known_person()?;
    let media_id = in_path(job)?;
    write(job, |transaction| {
        let sql = format!("DELETE FROM {table} WHERE customer_key = ?1 AND media_id = ?2");
        match transaction.prepare_cached(&sql)?.execute(params![person.key, media_id])? {
            0 => Err(OriginError::NoMedium.into()),
            _ => Ok(done("Removed")),
        }
    })
}

/// Runs a write in a transaction, which is rolled back if the write is refused.
fn write(
    job: &mut Job<'_>,
    write: impl FnOnce(&Transaction<'_>) -> Result<Reply, Refused>,
) -> Result<Reply, Refused> {
    let _writing = job.shared.lock();
    let transaction = job.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let reply = write(&transaction)?;
    transaction.commit()?;
    Ok(reply)
}

/// The field `media_id`.
fn media_id(fields: &Fields<'_>) -> Option<String> {
    let media_id = fields.required_text("media_id", MEDIA_ID_MAX_BYTES)?;
    if !is_media_id(&media_id) {
        fields.wrong("media_id", &format!("{MEDIA_ID}, not {}", shown(&media_id)));
    }
    Some(media_id)
}

/// The media id in the path.
fn in_path(job: &Job<'_>) -> Result<String, Refused> {
    let media_id = job.path.parameter;
    match is_media_id(media_id) && media_id.len() <= MEDIA_ID_MAX_BYTES {
        true => Ok(media_id.to_owned()),
        false => {
            Err(Refused::field("media_id", &format!("The media_id {MEDIA_ID}, not {}", shown(media_id))))
        }
    }
}

/// What a media id must look like, as words that follow its name.
const MEDIA_ID: &str = "must have letters, digits, and . _ ~ : - only";

/// Whether the text needs no escape in a path, so that every id that was added can be removed.
fn is_media_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte))
}
