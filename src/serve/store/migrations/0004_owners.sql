-- Projects and repositories have tokens beside users. `owner` is the name of the user, the key of the project, or
-- the key and the slug with a slash between them.
ALTER TABLE tokens ADD COLUMN owner_kind TEXT NOT NULL DEFAULT 'user'
    CHECK (owner_kind IN ('user', 'project', 'repository'));

DROP INDEX tokens_by_owner;

CREATE INDEX tokens_by_owner ON tokens (owner_folded, owner_kind);
