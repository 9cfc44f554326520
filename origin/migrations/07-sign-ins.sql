-- When the viewer signed in: tokens say so (auth_time), and a session ends a fixed time after it, however often it is
-- refreshed. Of sign-ins of earlier versions the moment is not known: they count from now on.
ALTER TABLE refresh_tokens ADD COLUMN signed_in_at INTEGER NOT NULL DEFAULT 0;
UPDATE refresh_tokens SET signed_in_at = unixepoch();

-- Members of a package are read a page at a time, in their order.
CREATE INDEX package_items_in_order ON package_items (package_id, position, item_id);
