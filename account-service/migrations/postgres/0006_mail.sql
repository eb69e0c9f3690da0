-- Codes that went out by mail: one for each purpose, replaced by the next. A try is counted before it is judged.
CREATE TABLE mailed_codes (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL,
    code_hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    tries_left BIGINT NOT NULL,
    PRIMARY KEY (account_id, purpose)
);
CREATE INDEX mailed_codes_expiry ON mailed_codes (expires_at);

-- When somebody showed that mail to this address reaches them.
ALTER TABLE accounts ADD COLUMN email_verified_at BIGINT;
