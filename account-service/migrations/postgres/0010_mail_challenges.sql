-- Codes that went out by mail to somebody who is not signed in, or to a new address: one row for each page that asked, so that
-- nobody can use up, replace or guess at a code that somebody else asked for. `email` and `password_hash` are those of an
-- account to be. Where no account is meant, the row is there all the same, and its code was sent to nobody.
CREATE TABLE mail_challenges (
    ticket_hash BYTEA NOT NULL PRIMARY KEY,
    purpose TEXT NOT NULL,
    account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    email TEXT,
    password_hash TEXT,
    code_hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    tries_left BIGINT NOT NULL
);
CREATE INDEX mail_challenges_account ON mail_challenges (account_id);
CREATE INDEX mail_challenges_expiry ON mail_challenges (expires_at);
