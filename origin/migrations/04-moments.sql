-- Earlier versions stored any number as a moment, milliseconds included. Publishers and edges read no moment
-- after 9999-12-31T23:59:59Z, and one unreadable row would keep a customer's other accesses from them. The
-- meaning of these rows is kept: a moment that far away is never, one before the year 1 is always.

-- The change log has the same moments in its lines, and is served as it is. If a line or a row has such a
-- moment, the history begins anew with one more change, so that every follower, even an up-to-date one, gets
-- 410 and reads the export.
UPDATE state SET seq = seq + 1, history_from = seq + 1 WHERE EXISTS (
    WITH moment(value) AS (
        SELECT starts_at FROM accesses UNION ALL SELECT expires_at FROM accesses
        UNION ALL SELECT created_at FROM accesses
        UNION ALL SELECT starts_at FROM fees UNION ALL SELECT expires_at FROM fees
        UNION ALL SELECT created_at FROM fees UNION ALL SELECT updated_at FROM fees
        UNION ALL SELECT created_at FROM items UNION ALL SELECT updated_at FROM items
        UNION ALL SELECT created_at FROM access_types UNION ALL SELECT updated_at FROM access_types
        UNION ALL SELECT license_json ->> '$.starts_at' FROM customer_licenses
        UNION ALL SELECT license_json ->> '$.expires_at' FROM customer_licenses
        UNION ALL SELECT license_json ->> '$.cancelled_at' FROM customer_licenses
        UNION ALL SELECT line.atom FROM changes, json_tree(changes.put_json) AS line
            WHERE line.key IN ('starts_at', 'expires_at', 'created_at', 'updated_at', 'cancelled_at')
            AND line.type IN ('integer', 'real')
    )
    SELECT 1 FROM moment WHERE value NOT BETWEEN -62135596800 AND 253402300799
);
DELETE FROM changes WHERE seq <= (SELECT history_from FROM state);

UPDATE accesses SET
    starts_at  = max(min(starts_at, 253402300799), -62135596800),
    expires_at = max(min(expires_at, 253402300799), -62135596800),
    created_at = max(min(created_at, 253402300799), -62135596800);
UPDATE fees SET
    starts_at  = max(min(starts_at, 253402300799), -62135596800),
    expires_at = max(min(expires_at, 253402300799), -62135596800),
    created_at = max(min(created_at, 253402300799), -62135596800),
    updated_at = max(min(updated_at, 253402300799), -62135596800);
UPDATE items SET
    created_at = max(min(created_at, 253402300799), -62135596800),
    updated_at = max(min(updated_at, 253402300799), -62135596800);
UPDATE access_types SET
    created_at = max(min(created_at, 253402300799), -62135596800),
    updated_at = max(min(updated_at, 253402300799), -62135596800);
UPDATE customer_licenses SET license_json = json_set(license_json, '$.starts_at',
    max(min(license_json ->> '$.starts_at', 253402300799), -62135596800))
    WHERE license_json ->> '$.starts_at' NOT BETWEEN -62135596800 AND 253402300799;
UPDATE customer_licenses SET license_json = json_set(license_json, '$.expires_at',
    max(min(license_json ->> '$.expires_at', 253402300799), -62135596800))
    WHERE license_json ->> '$.expires_at' NOT BETWEEN -62135596800 AND 253402300799;
UPDATE customer_licenses SET license_json = json_set(license_json, '$.cancelled_at',
    max(min(license_json ->> '$.cancelled_at', 253402300799), -62135596800))
    WHERE license_json ->> '$.cancelled_at' NOT BETWEEN -62135596800 AND 253402300799;
