-- A refresh token that was just used may come again: two tabs, or an answer that was lost. For a short while it gives
-- the same successor, which is computed from the token and this salt; neither of the two is enough by itself. The salt
-- is removed when the grace is over.
ALTER TABLE refresh_tokens ADD COLUMN successor_salt BLOB;
CREATE INDEX refresh_tokens_in_grace ON refresh_tokens (used_at) WHERE successor_salt IS NOT NULL;
