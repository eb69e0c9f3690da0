-- What housekeeping looks for every minute, so that it finds it without reading the whole table.
CREATE INDEX token_pairs_idle ON token_pairs (refresh_expires_at);
CREATE INDEX grants_end ON grants (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX instances_end ON instances (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX members_end ON members (expires_at) WHERE expires_at IS NOT NULL;
