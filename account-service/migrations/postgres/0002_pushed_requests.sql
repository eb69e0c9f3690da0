-- Authorization requests that a client pushed (RFC 9126), until the person has decided or ten minutes have passed. The
-- request is its own query string, without the client's secret.
CREATE TABLE pushed_requests (
    request_hash BYTEA NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    request TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX pushed_requests_client ON pushed_requests (client_id);
CREATE INDEX pushed_requests_expiry ON pushed_requests (expires_at);
