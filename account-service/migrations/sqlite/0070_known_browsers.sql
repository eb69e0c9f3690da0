-- Browsers that somebody signed in from, by the hash of a cookie that they keep when they sign out: strangers cannot use up
-- their tries. `session_id` is the last session there; whoever ends it from elsewhere means the browser, too.
CREATE TABLE known_browsers (
    browser_hash BLOB NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    session_id TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (browser_hash, account_id)
);
CREATE INDEX known_browsers_account ON known_browsers (account_id);
CREATE INDEX known_browsers_expiry ON known_browsers (expires_at);
