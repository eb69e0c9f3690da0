-- Attempts to link an app, each under a hash of its own request: how far it came and what stopped it. Of where it was to lead
-- only the host. Those that came to no sign-in belong to a browser's cookie (its hash) alone, and are few and short-lived.
CREATE TABLE link_attempts (
    id TEXT NOT NULL PRIMARY KEY,
    browser_hash BLOB,
    account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    host TEXT NOT NULL,
    grant_id TEXT,
    stage TEXT NOT NULL,
    cause TEXT,
    began_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX link_attempts_account ON link_attempts (account_id, began_at);
CREATE INDEX link_attempts_browser ON link_attempts (browser_hash);
CREATE INDEX link_attempts_grant ON link_attempts (grant_id);
CREATE INDEX link_attempts_age ON link_attempts (changed_at);
