-- What was done through linked apps, counted by the hour: which app, which home, what kind and how it ended. Never what was
-- played or on which player.
CREATE TABLE uses (
    hour BIGINT NOT NULL,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    result TEXT NOT NULL,
    times BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (hour, grant_id, instance_id, kind, result)
);
CREATE INDEX uses_account ON uses (account_id, last_at);
CREATE INDEX uses_instance ON uses (instance_id, last_at);
CREATE INDEX uses_grant ON uses (grant_id);
CREATE INDEX uses_age ON uses (last_at);

-- Reports that have been counted, so that one which is sent again counts once.
CREATE TABLE use_batches (
    batch_id BYTEA NOT NULL PRIMARY KEY,
    counted_at BIGINT NOT NULL
);
CREATE INDEX use_batches_age ON use_batches (counted_at);

-- The order of an account's events, where seconds are too coarse.
ALTER TABLE activity ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;
CREATE INDEX activity_order ON activity (account_id, sequence);
