-- Which accounts may sign in by which client.

-- A test-mode client unlocks pending test licences, and its id is public: only accounts with this mark may
-- use one.
ALTER TABLE accounts ADD COLUMN is_tester INTEGER NOT NULL DEFAULT 0 CHECK (is_tester IN (0, 1));

-- An app for all viewers must not get the rights of the merchant's users who sign in to it. The origin's own;
-- not published.
ALTER TABLE clients ADD COLUMN is_for_merchant INTEGER NOT NULL DEFAULT 0 CHECK (is_for_merchant IN (0, 1));
