-- By what the directory said who a user was when an entry was added: names change, and come back as somebody else's.
ALTER TABLE audit ADD COLUMN who_person TEXT;
ALTER TABLE audit ADD COLUMN owner_person TEXT;
