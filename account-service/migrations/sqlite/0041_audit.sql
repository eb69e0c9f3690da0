-- What operators did, in the order in which it was done, without gaps: nothing here is ever changed, and only age removes
-- rows. No reference to accounts: what was done to one is on record after it is gone. `actor` is a client's id, or the
-- name of the operating system's user at the command line.
CREATE TABLE audit_counter (
    id BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO audit_counter (id, last) VALUES (1, 0);
CREATE TABLE audit (
    sequence BIGINT NOT NULL PRIMARY KEY,
    happened_at BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    account_id TEXT,
    subject TEXT,
    outcome TEXT NOT NULL
);
CREATE INDEX audit_account ON audit (account_id, sequence);
CREATE INDEX audit_age ON audit (happened_at);
