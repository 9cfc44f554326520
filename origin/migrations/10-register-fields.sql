-- The longest life of an access token that a server on this database has issued: a retired key verifies as long.
ALTER TABLE state ADD COLUMN longest_access_secs INTEGER NOT NULL DEFAULT 3600;

-- What a merchant asks viewers for when they register, beside name and password.
CREATE TABLE register_fields (
    merchant_id INTEGER PRIMARY KEY REFERENCES merchants,
    fields_json TEXT NOT NULL
) STRICT;
