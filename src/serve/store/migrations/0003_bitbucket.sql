-- Who wrote the settings last, and when; NULL for those that a new server began with.
ALTER TABLE settings ADD COLUMN changed_by TEXT;
ALTER TABLE settings ADD COLUMN changed INTEGER;

-- What Bitbucket's configuration of basic authentication holds beside the settings, as JSON.
ALTER TABLE settings ADD COLUMN basic_authentication TEXT;

-- The project permissions that a token was made with in Bitbucket's REST, as JSON; its scope stays above them.
ALTER TABLE tokens ADD COLUMN permissions TEXT;

CREATE TABLE projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE repositories (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    slug TEXT NOT NULL,
    folded TEXT NOT NULL,
    UNIQUE (project_id, folded)
) STRICT;
