-- Keys for keyed hashes (codes that are short enough to be guessed from a plain hash, form tokens, nonces), sealed with the
-- key file. Here and not derived from that file, so that what was hashed stays good when its keys change.
CREATE TABLE hash_keys (
    name TEXT NOT NULL PRIMARY KEY,
    sealed_key BLOB NOT NULL
);
