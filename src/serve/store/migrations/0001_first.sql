-- Moments are milliseconds since 1970-01-01T00:00:00Z. A `folded` column holds the lower-case form of a
-- name, in which names are compared.

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,
    slug TEXT NOT NULL,
    display_name TEXT NOT NULL,
    email TEXT,
    active INTEGER NOT NULL,
    password_hash TEXT
) STRICT;

-- Not unique: a user who left the directory keeps the slug, and somebody new may get the same one.
CREATE INDEX users_by_slug ON users (slug);

CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE members (
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_by_user ON members (user_id, group_id);

CREATE TABLE settings (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    document TEXT NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

-- AUTOINCREMENT: the id of a revoked token is never given to another one.
-- `parent` tells where a token comes from, for whoever looks into a leak: when one token leaked, those that
-- were made with it are found here. Nothing is decided by it, and it stays when the parent is revoked.
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    owner_folded TEXT NOT NULL,
    description TEXT NOT NULL,
    scope INTEGER CHECK (scope IN (1, 2)), -- 1 read-only, 2 read-write, NULL unset
    created INTEGER NOT NULL,
    created_by TEXT,
    parent INTEGER,                        -- the token it was made with
    last_used INTEGER,
    last_used_from TEXT,
    expires INTEGER,                       -- NULL never
    secret_hash BLOB NOT NULL UNIQUE
) STRICT;

CREATE INDEX tokens_by_owner ON tokens (owner_folded);

CREATE TABLE marks (
    name TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
