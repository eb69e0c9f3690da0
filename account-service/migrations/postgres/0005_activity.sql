-- What happened to an account, for its owner to look over. `detail` is a device, an app or a home, as people know it.
CREATE TABLE activity (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    happened_at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX activity_account ON activity (account_id, happened_at);
CREATE INDEX activity_age ON activity (happened_at);
