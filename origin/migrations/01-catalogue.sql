-- The records that the origin publishes, as the publish schema has them. Moments are unix seconds. A column
-- that ends in _json holds a part of a record that the origin only passes on.

CREATE TABLE merchants (
    id   INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE apps (
    id          TEXT PRIMARY KEY,
    merchant_id INTEGER NOT NULL REFERENCES merchants,
    name        TEXT NOT NULL,
    plan_id     TEXT NOT NULL
) STRICT;

CREATE TABLE clients (
    client_id          TEXT PRIMARY KEY,
    app_id             TEXT NOT NULL REFERENCES apps,
    position           INTEGER NOT NULL,
    mode               TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    -- Addresses that authorization codes may be sent to. The origin's own; not published.
    redirect_uris_json TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX clients_of_app ON clients (app_id, position);

CREATE TABLE licenses (
    id               TEXT PRIMARY KEY,
    app_id           TEXT NOT NULL REFERENCES apps,
    internal_id      TEXT NOT NULL,
    name             TEXT NOT NULL,
    description      TEXT NOT NULL,
    rank             INTEGER NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('draft', 'pending', 'live', 'inactive')),
    test_mode        INTEGER NOT NULL CHECK (test_mode IN (0, 1)),
    locales_json     TEXT NOT NULL,
    price_tier_json  TEXT
) STRICT;

CREATE TABLE access_types (
    id         INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES merchants,
    name       TEXT NOT NULL,
    quantity   INTEGER NOT NULL,
    period     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE items (
    id                       INTEGER PRIMARY KEY,
    merchant_id              INTEGER NOT NULL REFERENCES merchants,
    title                    TEXT NOT NULL,
    is_active                INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    is_package               INTEGER NOT NULL CHECK (is_package IN (0, 1)),
    access_control_type_json TEXT NOT NULL,
    item_type_json           TEXT NOT NULL,
    age_restriction_json     TEXT,
    metadata_json            TEXT NOT NULL,
    content                  TEXT NOT NULL,
    plan_switch_enabled      INTEGER NOT NULL CHECK (plan_switch_enabled IN (0, 1)),
    -- Another id, by which clients may ask for it (11-external-ids.sql).
    external_asset_id        TEXT,
    deleted_at               INTEGER,
    created_at               INTEGER NOT NULL,
    updated_at               INTEGER NOT NULL,
    -- A deleted item is published as inactive; records that refer to it stay.
    CHECK (deleted_at IS NULL OR is_active = 0)
) STRICT;

CREATE TABLE package_items (
    package_id INTEGER NOT NULL REFERENCES items,
    position   INTEGER NOT NULL,
    item_id    INTEGER NOT NULL REFERENCES items,
    PRIMARY KEY (package_id, item_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX packages_of_item ON package_items (item_id);

CREATE TABLE license_items (
    license_id TEXT NOT NULL REFERENCES licenses,
    position   INTEGER NOT NULL,
    item_id    INTEGER NOT NULL REFERENCES items,
    PRIMARY KEY (license_id, item_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX licenses_of_item ON license_items (item_id);
CREATE INDEX licenses_of_app ON licenses (app_id);

-- A fee's number is unique within its item, as the publish schema has it.
CREATE TABLE fees (
    item_id              INTEGER NOT NULL REFERENCES items,
    id                   INTEGER NOT NULL,
    position             INTEGER NOT NULL,
    -- A JSON number.
    amount               TEXT NOT NULL,
    currency             TEXT NOT NULL,
    description          TEXT NOT NULL,
    access_type_id       INTEGER NOT NULL REFERENCES access_types,
    trial_period_json    TEXT,
    setup_fee_json       TEXT,
    geo_restriction_json TEXT,
    starts_at            INTEGER,
    expires_at           INTEGER,
    plan_switch_enabled  INTEGER NOT NULL CHECK (plan_switch_enabled IN (0, 1)),
    created_at           INTEGER NOT NULL,
    updated_at           INTEGER NOT NULL,
    PRIMARY KEY (item_id, id)
) STRICT, WITHOUT ROWID;

-- One person may have several rows with the same id: one for each issuer by which they sign in.
CREATE TABLE customers (
    key         INTEGER PRIMARY KEY,
    namespace   TEXT NOT NULL,
    subject     TEXT NOT NULL,
    id          INTEGER NOT NULL,
    uuid        TEXT NOT NULL,
    merchant_id INTEGER NOT NULL REFERENCES merchants,
    UNIQUE (namespace, subject)
) STRICT;
CREATE INDEX customers_by_id ON customers (merchant_id, id);

-- No reference to items: real data has accesses on items that were removed long ago, which grant nothing.
CREATE TABLE accesses (
    key          INTEGER PRIMARY KEY,
    customer_key INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE,
    id           INTEGER NOT NULL,
    item_id      INTEGER NOT NULL,
    -- The fee that was paid, if the grant named one. The origin's own; not published.
    fee_id       INTEGER,
    starts_at    INTEGER,
    expires_at   INTEGER,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX accesses_of_customer ON accesses (customer_key, key);
CREATE INDEX accesses_by_fee ON accesses (item_id, fee_id) WHERE fee_id IS NOT NULL;

CREATE TABLE customer_licenses (
    customer_key INTEGER NOT NULL REFERENCES customers ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    -- A subscription of the publish schema, all of it.
    license_json TEXT NOT NULL,
    PRIMARY KEY (customer_key, position)
) STRICT, WITHOUT ROWID;

-- The last number that was given out, for each kind of record.
CREATE TABLE numbers (
    kind TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row. seq counts committed changes; the log no longer has the changes up to history_from.
CREATE TABLE state (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    seq          INTEGER NOT NULL CHECK (seq >= history_from),
    history_from INTEGER NOT NULL
) STRICT;
INSERT INTO state (one, seq, history_from) VALUES (1, 0, 0);

CREATE TABLE changes (
    seq         INTEGER PRIMARY KEY,
    as_of       INTEGER NOT NULL,
    -- Lines of the publish schema, and the names of removed records: JSON arrays.
    put_json    TEXT NOT NULL,
    remove_json TEXT NOT NULL
) STRICT;

-- Answers to writes with an Idempotency-Key.
CREATE TABLE idempotency (
    caller     TEXT NOT NULL,
    key        TEXT NOT NULL,
    request    BLOB NOT NULL,
    status     INTEGER NOT NULL,
    body       TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
