-- An entry that deletes others says which ones: those from before `pruned_before` among the numbers up to `through`. They
-- go in the statement that adds it, so that nothing is left that could be deleted on its ground later. `through` alone says
-- that numbers up to there may be without an entry.
ALTER TABLE audit ADD COLUMN pruned_before INTEGER;

DROP TRIGGER audit_is_never_changed;

UPDATE audit SET pruned_before = CAST(round(unixepoch(details ->> 'before', 'subsec') * 1000) AS INTEGER)
    WHERE through IS NOT NULL;

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit is never changed');
END;

CREATE TRIGGER audit_only_grows AFTER INSERT ON audit
WHEN NEW.id < (SELECT max(id) FROM audit)
BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit is added behind all others');
END;

DROP TRIGGER audit_is_deleted_only_by_retention;

CREATE TRIGGER audit_is_deleted_only_by_retention BEFORE DELETE ON audit
WHEN NOT EXISTS (
    SELECT 1 FROM (SELECT through, pruned_before FROM audit ORDER BY id DESC LIMIT 1)
    WHERE OLD.id <= through AND OLD.at < pruned_before
)
BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit is deleted only by its retention');
END;

-- The plus keeps SQLite from looking through the moments of all entries for the few of these numbers.
CREATE TRIGGER audit_is_pruned AFTER INSERT ON audit WHEN NEW.pruned_before IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an entry of the audit is deleted only by an entry that says so truly')
    WHERE NEW.action <> 'audit-prune' OR NEW.through IS NULL OR NEW.through >= NEW.id OR NEW.pruned_before > NEW.at
        OR NEW.details ->> 'deleted'
            IS NOT (SELECT count(*) FROM audit WHERE id <= NEW.through AND +at < NEW.pruned_before);
    DELETE FROM audit WHERE id <= NEW.through AND +at < NEW.pruned_before;
END;
