-- Who did what, kept in the transaction that did it, and after what it was done to is gone. An entry is never
-- changed. It is deleted only when an entry that says so has been added before, `through` being the last one that
-- goes.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    who TEXT NOT NULL,
    who_folded TEXT NOT NULL,
    credential TEXT NOT NULL,
    credential_token INTEGER,              -- the token that it was done with
    token INTEGER,                         -- the token that it was done to
    owner_kind TEXT,
    owner TEXT,
    owner_folded TEXT,
    client TEXT,
    request TEXT,
    run TEXT,
    through INTEGER,
    details TEXT NOT NULL                  -- JSON
) STRICT;

CREATE INDEX audit_by_token ON audit (token) WHERE token IS NOT NULL;
CREATE INDEX audit_by_owner ON audit (owner_folded, owner_kind) WHERE owner_folded IS NOT NULL;
CREATE INDEX audit_by_who ON audit (who_folded);
CREATE INDEX audit_by_run ON audit (run) WHERE run IS NOT NULL;
CREATE INDEX audit_by_time ON audit (at);
CREATE INDEX audit_prunes ON audit (id) WHERE through IS NOT NULL;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit is never changed');
END;

CREATE TRIGGER audit_is_never_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit is never replaced');
END;

CREATE TRIGGER audit_is_deleted_only_by_retention BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit WHERE through IS NOT NULL AND id > OLD.id AND through >= OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit is deleted only by its retention');
END;
