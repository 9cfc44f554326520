-- The change log names the records that a change touched; the feed loads them when it is read. A line of
-- earlier versions held whole records, so that a request of 30 bytes could log a megabyte. The history begins
-- anew: a follower with all of it continues, and any other gets 410 and reads the export.
DROP TABLE changes;
UPDATE state SET history_from = seq;
CREATE TABLE changes (
    seq          INTEGER PRIMARY KEY,
    as_of        INTEGER NOT NULL,
    -- Names of records, as the change feed has them under "remove".
    touched_json TEXT NOT NULL
) STRICT;
-- Bytes of the rows of changes, as the log counts them.
ALTER TABLE state ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;

-- The amounts that each merchant has stored, maintained by the triggers below, so that a quota needs no
-- count.
CREATE TABLE usage (
    merchant_id  INTEGER PRIMARY KEY,
    -- Items and packages, deleted ones included.
    items        INTEGER NOT NULL DEFAULT 0,
    -- Bytes of items and their fees.
    item_bytes   INTEGER NOT NULL DEFAULT 0,
    -- Members of packages.
    members      INTEGER NOT NULL DEFAULT 0,
    -- Accesses of the merchant's customers.
    accesses     INTEGER NOT NULL DEFAULT 0,
    -- Bytes of answers that are stored for Idempotency-Keys.
    answer_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Answers are counted by merchant. Those of earlier versions belong to no merchant until they end.
ALTER TABLE idempotency ADD COLUMN merchant_id INTEGER NOT NULL DEFAULT 0;

CREATE VIEW item_sizes (id, merchant_id, bytes) AS
    SELECT id, merchant_id, 200 + octet_length(title) + octet_length(content) + octet_length(metadata_json)
        + octet_length(item_type_json) + coalesce(octet_length(external_asset_id), 0)
    FROM items;
CREATE VIEW fee_sizes (item_id, id, bytes) AS
    SELECT item_id, id, 200 + octet_length(amount) + octet_length(description)
        + coalesce(octet_length(trial_period_json), 0) + coalesce(octet_length(setup_fee_json), 0)
        + coalesce(octet_length(geo_restriction_json), 0)
    FROM fees;

-- Reads each table once, however many merchants there are.
INSERT INTO usage (merchant_id, items, item_bytes, members, accesses)
    SELECT id, coalesce(item_count, 0), coalesce(bytes, 0) + coalesce(fee_bytes, 0), coalesce(member_count, 0),
        coalesce(access_count, 0)
    FROM merchants
    LEFT JOIN (SELECT merchant_id, count(*) AS item_count, sum(bytes) AS bytes
               FROM item_sizes GROUP BY merchant_id) AS of_items ON of_items.merchant_id = merchants.id
    LEFT JOIN (SELECT merchant_id, sum(bytes) AS fee_bytes
               FROM fee_sizes JOIN items ON items.id = item_id
               GROUP BY merchant_id) AS of_fees ON of_fees.merchant_id = merchants.id
    LEFT JOIN (SELECT merchant_id, count(*) AS member_count
               FROM package_items JOIN items ON items.id = package_id
               GROUP BY merchant_id) AS of_members ON of_members.merchant_id = merchants.id
    LEFT JOIN (SELECT merchant_id, count(*) AS access_count
               FROM accesses JOIN customers ON customers.key = customer_key
               GROUP BY merchant_id) AS of_accesses ON of_accesses.merchant_id = merchants.id;

CREATE TRIGGER usage_of_merchant AFTER INSERT ON merchants BEGIN
    INSERT INTO usage (merchant_id) VALUES (NEW.id);
END;
CREATE TRIGGER usage_of_item AFTER INSERT ON items BEGIN
    UPDATE usage SET items = items + 1,
        item_bytes = item_bytes + (SELECT bytes FROM item_sizes WHERE id = NEW.id)
    WHERE merchant_id = NEW.merchant_id;
END;
CREATE TRIGGER usage_before_item BEFORE UPDATE ON items BEGIN
    UPDATE usage SET item_bytes = item_bytes - (SELECT bytes FROM item_sizes WHERE id = OLD.id)
    WHERE merchant_id = OLD.merchant_id;
END;
CREATE TRIGGER usage_after_item AFTER UPDATE ON items BEGIN
    UPDATE usage SET item_bytes = item_bytes + (SELECT bytes FROM item_sizes WHERE id = NEW.id)
    WHERE merchant_id = NEW.merchant_id;
END;
CREATE TRIGGER usage_of_fee AFTER INSERT ON fees BEGIN
    UPDATE usage SET item_bytes = item_bytes
        + (SELECT bytes FROM fee_sizes WHERE item_id = NEW.item_id AND id = NEW.id)
    WHERE merchant_id = (SELECT merchant_id FROM items WHERE id = NEW.item_id);
END;
CREATE TRIGGER usage_without_fee BEFORE DELETE ON fees BEGIN
    UPDATE usage SET item_bytes = item_bytes
        - (SELECT bytes FROM fee_sizes WHERE item_id = OLD.item_id AND id = OLD.id)
    WHERE merchant_id = (SELECT merchant_id FROM items WHERE id = OLD.item_id);
END;
CREATE TRIGGER usage_of_member AFTER INSERT ON package_items BEGIN
    UPDATE usage SET members = members + 1
    WHERE merchant_id = (SELECT merchant_id FROM items WHERE id = NEW.package_id);
END;
CREATE TRIGGER usage_without_member AFTER DELETE ON package_items BEGIN
    UPDATE usage SET members = members - 1
    WHERE merchant_id = (SELECT merchant_id FROM items WHERE id = OLD.package_id);
END;
CREATE TRIGGER usage_of_access AFTER INSERT ON accesses BEGIN
    UPDATE usage SET accesses = accesses + 1
    WHERE merchant_id = (SELECT merchant_id FROM customers WHERE key = NEW.customer_key);
END;
-- When a customer is removed, the accesses go after the customer: the row no longer tells whose they were.
CREATE TRIGGER usage_without_access AFTER DELETE ON accesses BEGIN
    UPDATE usage SET accesses = accesses - 1
    WHERE merchant_id = (SELECT merchant_id FROM customers WHERE key = OLD.customer_key);
END;
CREATE TRIGGER usage_without_customer BEFORE DELETE ON customers BEGIN
    UPDATE usage SET accesses = accesses - (SELECT count(*) FROM accesses WHERE customer_key = OLD.key)
    WHERE merchant_id = OLD.merchant_id;
END;
CREATE TRIGGER usage_of_answer AFTER INSERT ON idempotency BEGIN
    UPDATE usage SET answer_bytes = answer_bytes + octet_length(NEW.body) + 200
    WHERE merchant_id = NEW.merchant_id;
END;
CREATE TRIGGER usage_without_answer AFTER DELETE ON idempotency BEGIN
    UPDATE usage SET answer_bytes = answer_bytes - octet_length(OLD.body) - 200
    WHERE merchant_id = OLD.merchant_id;
END;

-- The audit trail. An entry is added in the transaction that it describes, and never changed.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The change, if the action changed data of the edges.
    seq         INTEGER,
    at          INTEGER NOT NULL,
    -- The merchant that the actor acted for; 0 for none.
    merchant_id INTEGER NOT NULL,
    -- Refused actions are kept apart, so that they take no room from others.
    is_refused  INTEGER NOT NULL CHECK (is_refused IN (0, 1)),
    -- `iss` of the token, or `command`.
    issuer      TEXT NOT NULL,
    -- Namespace and subject of the token, or user and host of the command.
    actor       TEXT NOT NULL,
    client      TEXT,
    jti         TEXT,
    request_id  TEXT,
    address     TEXT,
    action      TEXT NOT NULL,
    -- Type and name of the object: `access:340024`.
    object      TEXT NOT NULL,
    item_id     INTEGER,
    customer_id INTEGER,
    outcome     TEXT NOT NULL
) STRICT;
CREATE INDEX audit_of_merchant ON audit (merchant_id, is_refused, id);
CREATE INDEX audit_by_change ON audit (seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_by_object ON audit (object);
CREATE INDEX audit_by_item ON audit (item_id) WHERE item_id IS NOT NULL;
CREATE INDEX audit_by_customer ON audit (customer_id) WHERE customer_id IS NOT NULL;

-- The number of entries of each merchant, and the id up to which they were removed.
CREATE TABLE audit_kept (
    merchant_id  INTEGER NOT NULL,
    is_refused   INTEGER NOT NULL,
    entries      INTEGER NOT NULL,
    forgotten_to INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, is_refused)
) STRICT, WITHOUT ROWID;
ALTER TABLE state ADD COLUMN audit_cut_at INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
    SELECT raise(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_is_forgotten_in_order BEFORE DELETE ON audit
WHEN NOT EXISTS (
    SELECT 1 FROM audit_kept
    WHERE merchant_id = OLD.merchant_id AND is_refused = OLD.is_refused AND OLD.id <= forgotten_to
) BEGIN
    SELECT raise(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_stays_forgotten BEFORE UPDATE ON audit_kept WHEN NEW.forgotten_to < OLD.forgotten_to BEGIN
    SELECT raise(ABORT, 'the audit trail is only added to');
END;
CREATE TRIGGER audit_kept_stays BEFORE DELETE ON audit_kept BEGIN
    SELECT raise(ABORT, 'the audit trail is only added to');
END;

-- Events that are too frequent for an entry each, by the hour: sign-ins of viewers, refused sign-ins.
CREATE TABLE audit_counts (
    hour        INTEGER NOT NULL,
    merchant_id INTEGER NOT NULL,
    action      TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    count       INTEGER NOT NULL,
    PRIMARY KEY (hour, merchant_id, action, outcome)
) STRICT, WITHOUT ROWID;

-- Tokens that this origin refuses before they end. A row with a subject is for tokens that were issued up to
-- `at`.
CREATE TABLE revoked_tokens (
    -- `jti`, `subject`
    kind      TEXT NOT NULL CHECK (kind IN ('jti', 'subject')),
    -- The issuer's namespace; empty for this origin's own issuer.
    namespace TEXT NOT NULL,
    value     TEXT NOT NULL,
    at        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (kind, namespace, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (until);
