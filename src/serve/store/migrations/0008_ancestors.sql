-- Tokens that are gone while tokens that were made with them stayed: what came of an older one is found across them.
CREATE TABLE ancestors (
    token INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL                -- the token it was made with
) STRICT;

CREATE INDEX ancestors_by_parent ON ancestors (parent);
CREATE INDEX tokens_by_parent ON tokens (parent) WHERE parent IS NOT NULL;

-- The token whose revocation took this one along.
ALTER TABLE audit ADD COLUMN with_token INTEGER;

CREATE INDEX audit_by_with_token ON audit (with_token) WHERE with_token IS NOT NULL;
CREATE INDEX audit_by_credential_token ON audit (credential_token) WHERE credential_token IS NOT NULL;
