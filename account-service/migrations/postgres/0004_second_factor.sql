-- The authenticator app of an account, sealed with the key file. Counts once it is confirmed; `last_step` is the newest
-- 30-second step whose code was used, so that no code is used twice.
CREATE TABLE totp_secrets (
    account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    sealed_secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_step BIGINT NOT NULL
);

-- Recovery codes that are still good, as keyed hashes.
CREATE TABLE recovery_codes (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    code_hash BYTEA NOT NULL,
    PRIMARY KEY (account_id, code_hash)
);
