// node-oidc-provider's storage on PostgreSQL: its documented adapter interface, one table, named (prepared) statements.

import pg from 'pg';

const SCHEMA = `
  CREATE SCHEMA IF NOT EXISTS peer;
  CREATE TABLE IF NOT EXISTS peer.models (
    model TEXT NOT NULL,
    id TEXT NOT NULL,
    payload JSONB NOT NULL,
    grant_id TEXT,
    uid TEXT,
    user_code TEXT,
    expires_at TIMESTAMPTZ,
    consumed_at TIMESTAMPTZ,
    PRIMARY KEY (model, id)
  );
  CREATE INDEX IF NOT EXISTS models_grant ON peer.models (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX IF NOT EXISTS models_uid ON peer.models (uid) WHERE uid IS NOT NULL;
  CREATE INDEX IF NOT EXISTS models_user_code ON peer.models (user_code) WHERE user_code IS NOT NULL;
  CREATE INDEX IF NOT EXISTS models_expiry ON peer.models (expires_at);
`;

const UPSERT = `
  INSERT INTO peer.models (model, id, payload, grant_id, uid, user_code, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7)
  ON CONFLICT (model, id) DO UPDATE SET payload = EXCLUDED.payload, grant_id = EXCLUDED.grant_id,
    uid = EXCLUDED.uid, user_code = EXCLUDED.user_code, expires_at = EXCLUDED.expires_at`;
const LIVING = 'model = $1 AND (expires_at IS NULL OR expires_at > now())';

let pool;

export async function open(connectionString, connections) {
  pool = new pg.Pool({ connectionString, max: connections });
  // Several processes start at once, and IF NOT EXISTS alone does not keep them apart. One string is one transaction.
  await pool.query(`SELECT pg_advisory_xact_lock(1);${SCHEMA}`);
}

// Which model has which of the indexed members is the library's business; what is absent is NULL.
export class PostgresAdapter {
  constructor(model) {
    this.model = model;
  }

  async upsert(id, payload, expiresIn) {
    const expiresAt = expiresIn ? new Date(Date.now() + expiresIn * 1000) : null;
    const { grantId = null, uid = null, userCode = null } = payload;
    const values = [this.model, id, JSON.stringify(payload), grantId, uid, userCode, expiresAt];
    await pool.query({ name: 'upsert', text: UPSERT, values });
  }

  find(id) {
    return this.#one('find', 'id', id);
  }

  findByUid(uid) {
    return this.#one('find-uid', 'uid', uid);
  }

  findByUserCode(userCode) {
    return this.#one('find-user-code', 'user_code', userCode);
  }

  async consume(id) {
    const text = 'UPDATE peer.models SET consumed_at = now() WHERE model = $1 AND id = $2';
    await pool.query({ name: 'consume', text, values: [this.model, id] });
  }

  async destroy(id) {
    const text = 'DELETE FROM peer.models WHERE model = $1 AND id = $2';
    await pool.query({ name: 'destroy', text, values: [this.model, id] });
  }

  async revokeByGrantId(grantId) {
    const text = 'DELETE FROM peer.models WHERE model = $1 AND grant_id = $2';
    await pool.query({ name: 'revoke', text, values: [this.model, grantId] });
  }

  async #one(name, column, value) {
    const text = `SELECT payload, consumed_at FROM peer.models WHERE ${LIVING} AND ${column} = $2`;
    const { rows: [row] } = await pool.query({ name, text, values: [this.model, value] });
    if (!row) return undefined;
    return row.consumed_at ? { ...row.payload, consumed: Math.floor(row.consumed_at / 1000) } : row.payload;
  }
}
