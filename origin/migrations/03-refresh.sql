-- A refresh token may come again right after its use: from two tabs, or after a lost answer. For a short
-- while it gives the same successor, which is computed from the token and this salt; neither is enough by
-- itself. The salt is removed when the grace is over.
ALTER TABLE refresh_tokens ADD COLUMN successor_salt BLOB;
CREATE INDEX refresh_tokens_in_grace ON refresh_tokens (used_at) WHERE successor_salt IS NOT NULL;
