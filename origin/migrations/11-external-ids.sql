-- The external ids by which items are found: their own, and the media id in their content. Filled with those of the
-- items that are there by the program, which knows where a media id stands in a content.
CREATE TABLE external_ids (
    external_id TEXT NOT NULL,
    item_id     INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    PRIMARY KEY (external_id, item_id)
) WITHOUT ROWID;
CREATE INDEX external_ids_by_item ON external_ids (item_id);
