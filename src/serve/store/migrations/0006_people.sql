-- Whether the last directory file did not have the user: the name may be somebody else's when it comes back.
ALTER TABLE users ADD COLUMN departed INTEGER NOT NULL DEFAULT 0 CHECK (departed IN (0, 1));

-- By what a directory file says who a user is, whatever the name; NULL where it does not.
ALTER TABLE users ADD COLUMN person TEXT;

CREATE INDEX users_by_person ON users (person);

-- The last time that the user proved who that is; NULL for never, and for the time before this column.
ALTER TABLE users ADD COLUMN last_authenticated INTEGER;
