-- Since when tokens of the server behind a gateway are gone that something is kept of here.
CREATE TABLE gone_tokens (
    token INTEGER PRIMARY KEY,
    since INTEGER NOT NULL
);
