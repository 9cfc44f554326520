-- A `jti` is unique for its issuer alone, so a sign-out names the issuer as well: otherwise a token of one issuer with a
-- chosen `jti` would end another issuer's token.
CREATE TABLE revoked_tokens_12 (
    -- `jti`, `subject`
    kind      TEXT NOT NULL CHECK (kind IN ('jti', 'subject')),
    -- For `jti`: the token's `iss`; empty for the tokens of every issuer, which an operator refuses.
    -- For `subject`: the issuer's namespace; empty for this origin's own issuer.
    issued_by TEXT NOT NULL,
    value     TEXT NOT NULL,
    -- A row with a subject is for tokens that were issued up to this moment.
    at        INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    PRIMARY KEY (kind, issued_by, value)
) STRICT, WITHOUT ROWID;
-- Earlier sign-outs did not note the issuer. They stay refused for all.
INSERT INTO revoked_tokens_12 SELECT kind, namespace, value, at, until FROM revoked_tokens;
DROP TABLE revoked_tokens;
ALTER TABLE revoked_tokens_12 RENAME TO revoked_tokens;
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (until);
