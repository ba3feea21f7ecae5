-- Every three characters of the texts by which users are found, in lower case, with the users that have them.
CREATE VIRTUAL TABLE IF NOT EXISTS users_text USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);

DELETE FROM users_text;

INSERT INTO users_text (rowid, text)
    SELECT id, folded || char(10) || lower(display_name) || char(10) || lower(coalesce(email, '')) FROM users;

CREATE TRIGGER IF NOT EXISTS users_text_of_new AFTER INSERT ON users
BEGIN
    INSERT INTO users_text (rowid, text)
    VALUES (NEW.id, NEW.folded || char(10) || lower(NEW.display_name) || char(10) || lower(coalesce(NEW.email, '')));
END;

CREATE TRIGGER IF NOT EXISTS users_text_of_changed AFTER UPDATE OF folded, display_name, email ON users
WHEN (NEW.folded, NEW.display_name, NEW.email) IS NOT (OLD.folded, OLD.display_name, OLD.email)
BEGIN
    DELETE FROM users_text WHERE rowid = OLD.id;
    INSERT INTO users_text (rowid, text)
    VALUES (NEW.id, NEW.folded || char(10) || lower(NEW.display_name) || char(10) || lower(coalesce(NEW.email, '')));
END;

CREATE TRIGGER IF NOT EXISTS users_text_of_gone AFTER DELETE ON users
BEGIN
    DELETE FROM users_text WHERE rowid = OLD.id;
END;
