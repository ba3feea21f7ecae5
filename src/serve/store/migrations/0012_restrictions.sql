-- How tokens of the server behind a gateway are restricted. `number` is another one each time that a restriction changes.
CREATE TABLE restrictions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    token INTEGER NOT NULL UNIQUE,
    not_after INTEGER,
    max_scope INTEGER,
    changed INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    CHECK (not_after IS NOT NULL OR max_scope IS NOT NULL)
);

-- The last use of each token of that server that it confirmed.
CREATE TABLE upstream_uses (
    token INTEGER PRIMARY KEY,
    last_used INTEGER NOT NULL,
    last_used_from TEXT
);
