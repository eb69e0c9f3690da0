-- Who else uses a home: members, and guests until a time. The home's owner is the account in `instances` and not in here.
-- `id` is for lists and forms; `shown_as` is the name that the owner gave when inviting.
CREATE TABLE members (
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    id TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    shown_as TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (instance_id, account_id)
);
CREATE INDEX members_account ON members (account_id);

-- Invitations that wait for their answer; an answered one is deleted. The code is kept as a keyed hash. `role` may also
-- be `owner`: then the home itself is offered, and `stays` says whether whoever offers it would like to remain a member.
CREATE TABLE invitations (
    id TEXT NOT NULL PRIMARY KEY,
    code_hash BYTEA NOT NULL UNIQUE,
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    invited_by TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    guest_seconds BIGINT,
    stays BOOLEAN NOT NULL,
    shown_as TEXT NOT NULL,
    email TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX invitations_instance ON invitations (instance_id);
CREATE INDEX invitations_inviter ON invitations (invited_by);
CREATE INDEX invitations_expiry ON invitations (expires_at);
