-- Earlier versions stored any number as a moment, milliseconds among them. Publishers and edges read none after
-- 9999-12-31T23:59:59Z, and one row that they cannot read would keep a customer's other accesses from them. What
-- these rows said until now is kept: a moment that far away is never, one before the year 1 is always.
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
