-- Passkeys of people: the public half and what its checks need, as JSON. `name` is what its owner calls it.
CREATE TABLE passkeys (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    credential_id BYTEA NOT NULL UNIQUE,
    passkey TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_account ON passkeys (account_id);

-- How somebody signs in at another provider that they showed to be themselves there, too.
CREATE TABLE identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_account ON identities (account_id);

-- Ways to another provider that a browser is on: to sign in, to sign in again, or to link `account_id`. `browser` is the
-- hash of its cookie: nobody else can come back from there.
CREATE TABLE sign_in_trips (
    state_hash BYTEA NOT NULL PRIMARY KEY,
    browser BYTEA NOT NULL,
    provider TEXT NOT NULL,
    purpose TEXT NOT NULL,
    nonce TEXT NOT NULL,
    verifier TEXT NOT NULL,
    account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    next TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sign_in_trips_account ON sign_in_trips (account_id);
CREATE INDEX sign_in_trips_expiry ON sign_in_trips (expires_at);
