-- People. `email` is in lower case and trimmed; it is what a person signs in with.
CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    suspended_at BIGINT
);

-- Browsers that are signed in. Only the hash of the cookie is kept; `id` is for lists and forms.
CREATE TABLE web_sessions (
    cookie_hash BYTEA NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    signed_in_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    device TEXT NOT NULL
);
CREATE INDEX web_sessions_account ON web_sessions (account_id);
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);

-- OAuth clients. `redirect_uris` is a JSON list of exact texts; `secret_hash` is absent for public clients.
CREATE TABLE clients (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash BYTEA,
    require_pkce BOOLEAN NOT NULL,
    rotation TEXT NOT NULL,
    access_token_seconds BIGINT NOT NULL,
    redirect_uris TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Authorization codes. `grant_id` is the grant that redemption brings into being.
CREATE TABLE codes (
    code_hash BYTEA NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL UNIQUE,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    redirect_uri TEXT NOT NULL,
    challenge TEXT,
    nonce TEXT,
    scopes TEXT NOT NULL,
    signed_in_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX codes_client ON codes (client_id);
CREATE INDEX codes_account ON codes (account_id);
CREATE INDEX codes_expiry ON codes (expires_at);

-- What a person allowed one client to do; what "unlink" ends.
CREATE TABLE grants (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    signed_in_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX grants_account ON grants (account_id);
CREATE INDEX grants_client ON grants (client_id);

-- An access token and the refresh token issued beside it. `parent_hash` is the refresh token that was used to get
-- them, so "has been used" is "is somebody's parent". `used_at` is for clients with strict rotation only.
CREATE TABLE token_pairs (
    access_hash BYTEA NOT NULL PRIMARY KEY,
    refresh_hash BYTEA NOT NULL UNIQUE,
    grant_id TEXT NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    parent_hash BYTEA,
    scopes TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    access_expires_at BIGINT NOT NULL,
    access_ended_at BIGINT,
    refresh_expires_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX token_pairs_grant ON token_pairs (grant_id);
CREATE INDEX token_pairs_parent ON token_pairs (parent_hash);
CREATE INDEX token_pairs_issue ON token_pairs (issued_at);

-- Homes. A key belongs to at most one living home.
CREATE TABLE instances (
    id TEXT NOT NULL PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    identity_key BYTEA NOT NULL,
    paired_at BIGINT NOT NULL,
    last_token_at BIGINT,
    paused_at BIGINT,
    ended_at BIGINT
);
CREATE INDEX instances_account ON instances (account_id);
CREATE UNIQUE INDEX instances_living_key ON instances (identity_key) WHERE ended_at IS NULL;

-- Pairings under way (RFC 8628). The user code is kept as a keyed hash: it is short enough to be guessed from a plain one.
CREATE TABLE pairings (
    device_code_hash BYTEA NOT NULL PRIMARY KEY,
    user_code_hash BYTEA NOT NULL UNIQUE,
    identity_key BYTEA NOT NULL,
    name TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    poll_interval BIGINT NOT NULL,
    polled_at BIGINT,
    decided_at BIGINT,
    allowed BOOLEAN,
    account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    redeemed_at BIGINT
);
CREATE INDEX pairings_account ON pairings (account_id);
CREATE INDEX pairings_expiry ON pairings (expires_at);

-- One-time proofs and assertions already seen, until they would be refused for their age anyway.
CREATE TABLE seen_proofs (
    proof_hash BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX seen_proofs_expiry ON seen_proofs (expires_at);

-- What the other parts of the cloud must hear of. The counter's row lock makes the order of commits the order of
-- sequences, on both databases: a reader that has seen N has seen everything before N.
CREATE TABLE change_counter (
    id BIGINT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);
INSERT INTO change_counter (id, last) VALUES (1, 0);
CREATE TABLE changes (
    sequence BIGINT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    happened_at BIGINT NOT NULL
);
CREATE INDEX changes_age ON changes (happened_at);

-- Keys that sign instance tokens and id tokens; the private half is sealed with the key file.
CREATE TABLE signing_keys (
    generation BIGINT NOT NULL PRIMARY KEY,
    kid TEXT NOT NULL UNIQUE,
    public_key BYTEA NOT NULL,
    sealed_seed BYTEA NOT NULL,
    use_from BIGINT NOT NULL
);

-- Event-gateway grants, sealed by the skill: not readable here.
CREATE TABLE event_grants (
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    region TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    stored_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, region)
);
