-- When the viewer signed in: tokens tell it (auth_time), and a session ends a fixed time later, however often
-- it is refreshed. Sessions of earlier versions count from this migration on.
ALTER TABLE refresh_tokens ADD COLUMN signed_in_at INTEGER NOT NULL DEFAULT 0;
UPDATE refresh_tokens SET signed_in_at = unixepoch();

-- Members of a package are read in pages, in their order.
CREATE INDEX package_items_in_order ON package_items (package_id, position, item_id);
