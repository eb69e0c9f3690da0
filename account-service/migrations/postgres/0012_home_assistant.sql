-- Ways to a home's own Home Assistant and back. The connector knows its ticket, the browser the state. The code that comes
-- back is sealed, and goes to the home once.
CREATE TABLE home_assistant_trips (
    ticket_hash BYTEA NOT NULL PRIMARY KEY,
    state_hash BYTEA NOT NULL UNIQUE,
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    account_id TEXT REFERENCES accounts (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    nonce TEXT NOT NULL,
    sealed_code BYTEA,
    delivered_at BIGINT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX home_assistant_trips_instance ON home_assistant_trips (instance_id);
CREATE INDEX home_assistant_trips_account ON home_assistant_trips (account_id);
CREATE INDEX home_assistant_trips_expiry ON home_assistant_trips (expires_at);

-- Who somebody is in a home's Home Assistant, by the home's own word. An id means something only together with its home.
CREATE TABLE home_assistant_users (
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    ha_user_id TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    is_owner BOOLEAN NOT NULL,
    bound_at BIGINT NOT NULL,
    PRIMARY KEY (instance_id, ha_user_id)
);
CREATE INDEX home_assistant_users_account ON home_assistant_users (account_id);
