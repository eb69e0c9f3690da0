-- A home may move to new hardware: the pairing says which home it replaces, and the home keeps its id and gets the new
-- key. What the key was before is kept to say so to the old connector, and to people.
ALTER TABLE pairings ADD COLUMN replaces TEXT;
ALTER TABLE instances ADD COLUMN replaced_key BYTEA;
ALTER TABLE instances ADD COLUMN replaced_at BIGINT;
