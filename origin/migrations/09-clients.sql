-- Whole clients: sessions that end, accounts that their owners change, and lists of media.

-- A session is one sign-in of an account. Access tokens name it (claim `sid`) and are refused here once it is gone.
CREATE TABLE sessions (
    -- The family of the sign-in's refresh tokens.
    id           TEXT PRIMARY KEY,
    account_id   INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    signed_in_at INTEGER NOT NULL,
    -- No token of the session lives longer.
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_account ON sessions (account_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);
-- Sessions of earlier versions go on: their next access tokens name them.
INSERT INTO sessions (id, account_id, signed_in_at, expires_at)
    SELECT family, max(account_id), min(signed_in_at), max(expires_at)
    FROM refresh_tokens WHERE account_id IS NOT NULL GROUP BY family;

-- The fields of an account that SDKs show and change.
ALTER TABLE accounts ADD COLUMN referrer TEXT NOT NULL DEFAULT '';
-- An object of strings.
ALTER TABLE accounts ADD COLUMN metadata_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE accounts ADD COLUMN date_of_birth INTEGER;
ALTER TABLE accounts ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET updated_at = created_at;

-- Tokens that set a new password without the old one, by their hashes. One row without an account is a decoy: a
-- request for an unknown address writes it, so that it takes the same time as one for a known address.
CREATE TABLE password_tokens (
    hash       BLOB PRIMARY KEY,
    account_id INTEGER REFERENCES accounts ON DELETE CASCADE,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX password_tokens_of_account ON password_tokens (account_id, expires_at);

-- Lists of media, by the customer's row with the lowest key: a person may have a row for each issuer.
CREATE TABLE favorites (
    customer_key INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE,
    media_id     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (customer_key, media_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE watch_history (
    customer_key INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE,
    media_id     TEXT NOT NULL,
    -- The part that was watched, 0 to 1.
    progress     REAL NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (customer_key, media_id)
) STRICT, WITHOUT ROWID;
