-- What `admit publish --from postgres://…` reads: the views admit_export and admit_changes, and the feed behind them.
-- Parts 1, 4 and 5 stay as they are with any schema. Parts 2 and 3 name the tables of shop.sql: put yours there.

BEGIN;

CREATE SCHEMA admit;

-- 1. The feed: one row for each committed transaction that touched a record, and the records that it touched.

-- The count of changes: one row, which each of these transactions locks at its commit. Room in the page and
-- early vacuum keep the row's versions in one place.
CREATE TABLE admit.feed_counter (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO admit.feed_counter (seq) VALUES (0);

CREATE TABLE admit.feed (
    seq bigint PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON admit.feed (at);

CREATE TABLE admit.feed_records (
    seq bigint NOT NULL REFERENCES admit.feed ON DELETE CASCADE,
    type text NOT NULL,
    key text NOT NULL,
    PRIMARY KEY (seq, type, key)
);

-- Notes that the transaction touched a record. The first call of a transaction takes the next count: without
-- a gap, because a transaction that rolls back gives its count back, and in the order of commits, because the
-- counter stays locked until the commit.
CREATE FUNCTION admit.touch(type text, key text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = admit, pg_temp AS $$
DECLARE
    -- '<transaction>:<count>' of this transaction, once it has one.
    change text := current_setting('admit.change', true);
    number bigint;
BEGIN
    IF split_part(coalesce(change, ''), ':', 1) = pg_current_xact_id()::text THEN
        number := split_part(change, ':', 2)::bigint;
    ELSE
        UPDATE admit.feed_counter AS c SET seq = c.seq + 1 RETURNING c.seq INTO number;
        INSERT INTO admit.feed (seq) VALUES (number);
        PERFORM set_config('admit.change', pg_current_xact_id() || ':' || number, true);
        PERFORM pg_notify('admit_changes', '');
    END IF;
    INSERT INTO admit.feed_records (seq, type, key) VALUES (number, touch.type, touch.key) ON CONFLICT DO NOTHING;
END $$;
REVOKE ALL ON FUNCTION admit.touch FROM PUBLIC;

-- Has every follower take the export again, for a change that concerns too many records to name them: the count leaves a
-- number out, and no change before it stays.
CREATE FUNCTION admit.touch_all() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = admit, pg_temp AS $$
DECLARE
    number bigint;
BEGIN
    UPDATE admit.feed_counter AS c SET seq = c.seq + 2 RETURNING c.seq INTO number;
    DELETE FROM admit.feed;
    INSERT INTO admit.feed (seq) VALUES (number);
    -- What else this transaction touches joins that change.
    PERFORM set_config('admit.change', pg_current_xact_id() || ':' || number, true);
    PERFORM pg_notify('admit_changes', '');
END $$;
REVOKE ALL ON FUNCTION admit.touch_all FROM PUBLIC;

-- The trigger: its arguments are the type of the record, and the column with its key. With a third argument the column
-- has a customer's number, of which admit.subject makes the key.
CREATE FUNCTION admit.changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = admit, pg_temp AS $$
DECLARE
    old_key text := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) ->> TG_ARGV[1] END;
    new_key text := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) ->> TG_ARGV[1] END;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD *= NEW THEN
        RETURN NULL;
    END IF;
    IF TG_NARGS > 2 THEN
        old_key := admit.subject(old_key);
        new_key := admit.subject(new_key);
    END IF;
    IF new_key IS NOT NULL THEN
        PERFORM admit.touch(TG_ARGV[0], new_key);
    END IF;
    IF old_key IS NOT NULL AND old_key IS DISTINCT FROM new_key THEN
        PERFORM admit.touch(TG_ARGV[0], old_key);
    END IF;
    RETURN NULL;
END $$;

-- 2. Which tables make which record change. Deferred triggers run at the commit, so the counter is locked for the
-- commit alone, not for as long as a transaction takes.

-- The edge knows customers by the subject of their tokens. A customer who is gone has noted that herself.
CREATE FUNCTION admit.subject(number text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT uuid::text FROM shop.customers WHERE id = number::bigint
$$;

DO $$
DECLARE
    source record;
BEGIN
    FOR source IN SELECT * FROM (VALUES
        ('store', 'merchant', 'id', ''), ('store', 'app', 'app', ''),
        ('products', 'item', 'id', ''), ('prices', 'item', 'product_id', ''),
        ('package_products', 'item', 'package_id', ''),
        ('terms', 'access_type', 'id', ''),
        ('plans', 'license', 'id', ''), ('plan_products', 'license', 'plan_id', ''),
        ('customers', 'customer', 'uuid', ''), ('purchases', 'customer', 'customer_id', ', ''number'''),
        ('subscriptions', 'customer', 'customer_id', ', ''number''')
    ) AS sources (source_table, type, key, more)
    LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER admit_%s AFTER INSERT OR UPDATE OR DELETE ON shop.%I '
            'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION admit.changed(%L, %L%s)',
            source.type, source.source_table, source.type, source.key, source.more
        );
    END LOOP;
END $$;

-- A plan's name and length are in its subscribers' records. The count is taken first: subscriptions that commit later note
-- their customers themselves.
CREATE FUNCTION admit.plan_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = admit, pg_temp AS $$
DECLARE
    many CONSTANT integer := 1000;
    subscribers text[];
BEGIN
    PERFORM admit.touch('license', NEW.id::text);
    subscribers := ARRAY(
        SELECT c.uuid::text FROM shop.subscriptions u JOIN shop.customers c ON c.id = u.customer_id
        WHERE u.plan_id = NEW.id LIMIT many + 1);
    IF cardinality(subscribers) > many THEN
        PERFORM admit.touch_all();
    ELSE
        PERFORM admit.touch('customer', subscriber) FROM unnest(subscribers) subscriber;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER admit_subscribers AFTER UPDATE ON shop.plans DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (OLD.name <> NEW.name OR OLD.months <> NEW.months) EXECUTE FUNCTION admit.plan_changed();

-- The store's number is in every record, and its app in every plan.
CREATE FUNCTION admit.store_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = admit, pg_temp AS $$
BEGIN
    PERFORM admit.touch_all();
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER admit_everything AFTER UPDATE ON shop.store DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.app <> NEW.app) EXECUTE FUNCTION admit.store_changed();

-- 3. The records, as docs/publish-schema.md describes them: one view for each type, with the key that part 2 notes.

CREATE VIEW admit.merchants AS
SELECT s.id::text AS key, jsonb_build_object('type', 'merchant', 'id', s.id, 'uuid', s.uuid, 'name', s.name) AS line
FROM shop.store s;

CREATE VIEW admit.apps AS
SELECT s.app AS key, jsonb_build_object(
    'type', 'app', 'id', s.app, 'merchant_id', s.id, 'plan_id', s.uuid,
    'clients', jsonb_build_array(jsonb_build_object('client_id', s.client_id, 'mode', 'live'))) AS line
FROM shop.store s;

CREATE VIEW admit.access_types AS
SELECT t.id, jsonb_build_object(
    'type', 'access_type', 'id', t.id, 'account_id', s.id, 'name', t.name, 'quantity', t.quantity, 'period', t.period,
    'created_at', t.created_at, 'updated_at', t.created_at) AS line
FROM shop.terms t, shop.store s;

CREATE VIEW admit.licenses AS
SELECT p.id, jsonb_build_object(
    'type', 'license', 'id', p.id, 'internal_id', p.code, 'app_id', s.app, 'name', p.name,
    'status', CASE WHEN p.is_sold THEN 'live' ELSE 'inactive' END,
    'item_ids', (SELECT coalesce(jsonb_agg(i.product_id ORDER BY i.product_id), '[]')
                 FROM shop.plan_products i WHERE i.plan_id = p.id)) AS line
FROM shop.plans p, shop.store s;

CREATE VIEW admit.items AS
SELECT p.id, jsonb_build_object(
    'type', 'item', 'id', p.id, 'merchant_id', s.id, 'title', p.title, 'is_active', p.is_active,
    'access_control_type', CASE WHEN p.is_free
        THEN '{"id": 6, "name": "Auth", "auth": false}'::jsonb ELSE '{"id": 4, "name": "Paid", "auth": true}' END,
    'item_type', CASE WHEN p.is_package
        THEN '{"id": 10, "name": "package", "content_type": "package", "host": "inplayer", "description": "Package"}'::jsonb
        ELSE '{"id": 44, "name": "brightcove_asset", "content_type": "ovp", "host": "inplayer", "description": "OVP asset"}'
        END,
    'content', CASE WHEN p.video_id IS NULL THEN '' ELSE jsonb_build_object('video_id', p.video_id)::text END,
    'item_ids', CASE WHEN p.is_package
        THEN (SELECT coalesce(jsonb_agg(m.product_id ORDER BY m.position, m.product_id), '[]')
              FROM shop.package_products m WHERE m.package_id = p.id)
        ELSE '[]' END,
    'fees', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'id', f.id, 'amount', f.amount, 'currency', f.currency, 'description', f.description,
                 'access_type_id', f.term_id, 'created_at', f.created_at, 'updated_at', f.created_at) ORDER BY f.id), '[]')
             FROM shop.prices f WHERE f.product_id = p.id),
    'created_at', p.created_at, 'updated_at', p.updated_at) AS line
FROM shop.products p, shop.store s;

-- `namespace` is that of the customers' issuer in the Worker's ISSUERS. Refunded purchases are left out.
CREATE VIEW admit.customers AS
SELECT c.uuid, jsonb_build_object(
    'type', 'customer', 'namespace', 'vendor', 'subject', c.uuid, 'id', c.id, 'uuid', c.uuid, 'merchant_id', s.id,
    'accesses', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                     'id', b.id, 'item_id', b.product_id, 'created_at', b.bought_at,
                     'expires_at', nullif(b.expires_at, 'infinity'),
                     'purchase', jsonb_build_object('amount', b.amount, 'currency', b.currency,
                                                    'access_fee_id', b.price_id)) ORDER BY b.id), '[]')
                 FROM shop.purchases b WHERE b.customer_id = c.id AND b.refunded_at IS NULL),
    'licenses', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                     'license_id', u.plan_id, 'license_type', 'SINGLE', 'name', p.name, 'status', upper(u.status),
                     'renew_status', CASE WHEN u.cancelled_at IS NULL THEN 'RENEW' ELSE 'CANCEL' END,
                     'renews_on', u.renews_on, 'interval_length', p.months, 'interval_unit', 'MONTHS',
                     'date_added', u.started_at, 'cancelled_at', u.cancelled_at, 'expires_at', u.ends_at) ORDER BY u.id), '[]')
                 FROM shop.subscriptions u JOIN shop.plans p ON p.id = u.plan_id WHERE u.customer_id = c.id)) AS line
FROM shop.customers c, shop.store s;

-- The line of a record that part 1 has noted, as it is now. No line: it is gone, and 'remove' says so.
CREATE VIEW admit.noted AS
SELECT r.seq, r.type, r.key, CASE r.type
    WHEN 'customer' THEN (SELECT line FROM admit.customers WHERE uuid = r.key::uuid)
    WHEN 'item' THEN (SELECT line FROM admit.items WHERE id = r.key::bigint)
    WHEN 'license' THEN (SELECT line FROM admit.licenses WHERE id = r.key::uuid)
    WHEN 'access_type' THEN (SELECT line FROM admit.access_types WHERE id = r.key::bigint)
    WHEN 'app' THEN (SELECT line FROM admit.apps WHERE key = r.key)
    WHEN 'merchant' THEN (SELECT line FROM admit.merchants WHERE key = r.key)
    END AS line, CASE r.type
    WHEN 'customer' THEN jsonb_build_object('type', r.type, 'namespace', 'vendor', 'subject', r.key)
    WHEN 'app' THEN jsonb_build_object('type', r.type, 'id', r.key)
    WHEN 'license' THEN jsonb_build_object('type', r.type, 'id', r.key)
    ELSE jsonb_build_object('type', r.type, 'id', r.key::bigint)
    END AS name
FROM admit.feed_records r;

-- 4. The two views that the publisher reads.

CREATE VIEW admit.admit_export (line) AS
SELECT jsonb_build_object('type', 'snapshot', 'seq', seq, 'as_of', now()) FROM admit.feed_counter
UNION ALL SELECT line FROM admit.merchants
UNION ALL SELECT line FROM admit.apps
UNION ALL SELECT line FROM admit.access_types
UNION ALL SELECT line FROM admit.licenses
UNION ALL SELECT line FROM admit.items
UNION ALL SELECT line FROM admit.customers;

CREATE VIEW admit.admit_changes (seq, line) AS
SELECT f.seq, (
    SELECT jsonb_build_object(
        'as_of', f.at,
        'put', coalesce(jsonb_agg(n.line) FILTER (WHERE n.line IS NOT NULL), '[]'),
        'remove', coalesce(jsonb_agg(n.name) FILTER (WHERE n.line IS NULL), '[]'))
    -- OFFSET 0 keeps the planner from making each line several times.
    FROM (SELECT line, name FROM admit.noted WHERE noted.seq = f.seq OFFSET 0) n)
FROM admit.feed f;

-- The publisher's role: it reads these two views, which read the tables with their owner's rights.
DO $$ BEGIN CREATE ROLE admit_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
ALTER ROLE admit_reader SET search_path = admit;
ALTER ROLE admit_reader SET default_transaction_read_only = on;
-- The planner would compile these views for longer than they run.
ALTER ROLE admit_reader SET jit = off;
GRANT USAGE ON SCHEMA admit TO admit_reader;
GRANT SELECT ON admit.admit_export, admit.admit_changes TO admit_reader;

-- 5. Upkeep, for the owner.

-- Deletes old changes, but never the newest one: it tells a follower that was away whether it has missed
-- some. One that has takes the export again. Returns how many are deleted.
CREATE FUNCTION admit.purge(keep interval DEFAULT '7 days') RETURNS bigint
LANGUAGE sql SET search_path = admit, pg_temp AS $$
    WITH purged AS (
        DELETE FROM admit.feed
        WHERE at < now() - keep AND seq < (SELECT max(seq) FROM admit.feed) RETURNING 1
    )
    SELECT count(*) FROM purged
$$;
REVOKE ALL ON FUNCTION admit.purge FROM PUBLIC;

-- After a restore from a backup, or a failover that has lost transactions: goes on counting above what is published
-- (`origin_seq` in `admit inspect`), so that no number means two changes. The follower takes the export then.
CREATE FUNCTION admit.restored(published bigint) RETURNS bigint
LANGUAGE sql SET search_path = admit, pg_temp AS $$
    DELETE FROM admit.feed;
    UPDATE admit.feed_counter SET seq = greatest(seq, published) + 2;
    INSERT INTO admit.feed (seq) SELECT seq FROM admit.feed_counter RETURNING seq
$$;
REVOKE ALL ON FUNCTION admit.restored FROM PUBLIC;

COMMIT;
