-- The lease of the run that applies a policy. The row stays when the lease is given back (`expires` is 0
-- then), so that its number only ever grows: whoever writes with an old number is refused.
CREATE TABLE lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL,
    run TEXT NOT NULL,
    holder TEXT NOT NULL,
    since INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    begun INTEGER NOT NULL,
    run_by TEXT NOT NULL,
    policy_sha256 TEXT NOT NULL,
    last INTEGER NOT NULL,                 -- the last moment at which the run did something
    ended INTEGER                          -- NULL: interrupted or under way
) STRICT, WITHOUT ROWID;

CREATE INDEX runs_by_last ON runs (last);

-- What a run did, kept in the same transaction that did it.
CREATE TABLE run_changes (
    run TEXT NOT NULL REFERENCES runs (run),
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    note TEXT NOT NULL,                    -- the whole note of the change, as JSON
    done INTEGER NOT NULL,
    PRIMARY KEY (run, address, action)
) STRICT, WITHOUT ROWID;
