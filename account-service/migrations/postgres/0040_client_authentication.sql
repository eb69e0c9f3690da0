-- How clients prove themselves, beside a secret: `jwks` is a JSON list of public keys for signed assertions. While a secret
-- is being replaced the old one stays good until `old_secret_until`. `own_scopes` is what a client may do in its own name
-- (client credentials), which is how operators' programs come in. `require_dpop`: every token is bound to a key.
ALTER TABLE clients ADD COLUMN jwks TEXT;
ALTER TABLE clients ADD COLUMN old_secret_hash BYTEA;
ALTER TABLE clients ADD COLUMN old_secret_until BIGINT;
ALTER TABLE clients ADD COLUMN own_scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN require_dpop BOOLEAN NOT NULL DEFAULT FALSE;

-- The thumbprint of the key (RFC 9449) without which a code or a pair of tokens is of no use.
ALTER TABLE codes ADD COLUMN dpop_jkt TEXT;
ALTER TABLE token_pairs ADD COLUMN dpop_jkt TEXT;

-- What clients got in their own name. There is no refresh token to it, and no person.
CREATE TABLE operator_tokens (
    access_hash BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    dpop_jkt TEXT
);
CREATE INDEX operator_tokens_client ON operator_tokens (client_id);
CREATE INDEX operator_tokens_expiry ON operator_tokens (expires_at);
