//! A reference origin for Admit: the writes of the API, the tokens, the export and the change feed, on SQLite.

pub mod db;
pub mod limits;
