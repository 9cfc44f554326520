-- Accounts, programs, signing keys and sessions.

-- Keys that sign tokens. The newest one that is not retired signs; a retired one verifies until its last
-- token has ended.
CREATE TABLE signing_keys (
    kid          TEXT PRIMARY KEY,
    jwk_json     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    verify_until INTEGER
) STRICT;

-- Counts changes of signing_keys, so that a running server notices them.
ALTER TABLE state ADD COLUMN keys_version INTEGER NOT NULL DEFAULT 0;

CREATE TABLE accounts (
    id            INTEGER PRIMARY KEY,
    merchant_id   INTEGER NOT NULL REFERENCES merchants,
    username      TEXT NOT NULL COLLATE NOCASE,
    -- A PHC string, argon2id.
    password_hash TEXT NOT NULL,
    role          TEXT NOT NULL CHECK (role IN ('consumer', 'merchant')),
    -- For a consumer: the customer that tokens name.
    customer_key  INTEGER REFERENCES customers ON DELETE CASCADE,
    uuid          TEXT NOT NULL,
    full_name     TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (merchant_id, username),
    CHECK ((role = 'consumer') = (customer_key IS NOT NULL))
) STRICT;

-- Programs, which sign in as themselves. Their secrets are 256 random bits, so a plain hash protects them.
CREATE TABLE machines (
    client_id   TEXT PRIMARY KEY,
    merchant_id INTEGER NOT NULL REFERENCES merchants,
    secret_hash BLOB NOT NULL,
    is_merchant INTEGER NOT NULL CHECK (is_merchant IN (0, 1)),
    -- Separated by spaces.
    scopes      TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- Each token is used once. All tokens of one sign-in are a family. If a used token comes back, a second party
-- has it, and the whole family ends.
CREATE TABLE refresh_tokens (
    hash       BLOB PRIMARY KEY,
    family     TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    account_id INTEGER REFERENCES accounts ON DELETE CASCADE,
    machine    TEXT REFERENCES machines ON DELETE CASCADE,
    scope      TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    CHECK ((account_id IS NULL) <> (machine IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_of_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_by_end ON refresh_tokens (expires_at);

CREATE TABLE authorization_codes (
    hash           BLOB PRIMARY KEY,
    family         TEXT NOT NULL,
    client_id      TEXT NOT NULL,
    account_id     INTEGER NOT NULL REFERENCES accounts ON DELETE CASCADE,
    redirect_uri   TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    scope          TEXT NOT NULL,
    nonce          TEXT,
    expires_at     INTEGER NOT NULL,
    used_at        INTEGER
) STRICT, WITHOUT ROWID;
