// A signing key follows another while openid-client links and refreshes without a pause: it notices nothing.
//
// A key is published five minutes before it signs. Nobody waits that long here: the database is told that the new key signs
// earlier, which is still after every process has read it (once a minute) and every client may ask for it anew.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import * as client from 'openid-client'

import { admin, cloud, newClient, newPerson, REDIRECT, statement, verdict } from './judge.mjs'

const EARLIER = 75
const PATIENCE = 110

const { client_secret: secret } = await newClient('keys')
const person = await newPerson('keys')
const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks]
const config = await client.discovery(new URL(cloud.issuer), 'keys', secret, undefined, { execute })

async function link() {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  return client.authorizationCodeGrant(config, await person.browser.decide(url), { pkceCodeVerifier, idTokenExpected: true })
}

function signer({ id_token }) {
  return JSON.parse(Buffer.from(id_token.split('.')[0], 'base64url')).kid
}

await statement('no link and no refresh fails while a signing key follows another', async () => {
  const { key_id } = await admin(['keys', 'rotate'])
  const sql = `UPDATE signing_keys SET use_from = unixepoch() + ${EARLIER} WHERE kid = ?`
  const script = 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1], timeout=10); d.execute(*[sys.argv[2], sys.argv[3:]]); d.commit()'
  execFileSync('python3', ['-c', script, cloud.database, sql, key_id])
  const counts = new Map()
  let tokens = await link()
  const first = signer(tokens)
  assert.notEqual(first, key_id, 'the new key is published before it is used')
  const until = Date.now() + PATIENCE * 1000
  for (let turn = 1; (counts.get(key_id) ?? 0) < 20; turn += 1) {
    assert.ok(Date.now() < until, `the new key does not sign after ${PATIENCE} s`)
    // Each verifies the signature of the id token in its answer.
    tokens = turn % 10 === 0 ? await link() : await client.refreshTokenGrant(config, tokens.refresh_token)
    counts.set(signer(tokens), (counts.get(signer(tokens)) ?? 0) + 1)
    await pause(100)
  }
  assert.deepEqual([...counts.keys()], [first, key_id])
  assert.ok(counts.get(first) > 100, `only ${counts.get(first)} turns before`)
})

verdict()
