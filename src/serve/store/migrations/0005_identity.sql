-- By what the store is known, whatever leads to it: the same for every server over it, and for ever.
CREATE TABLE identity (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    store TEXT NOT NULL
) STRICT;

INSERT INTO identity (id, store) VALUES (1, lower(hex(randomblob(16))));
