// openid-client, a certified relying party, links people the way that apps do: found by discovery, over the real pages.

import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as client from 'openid-client'

import { Browser, cloud, newClient, newPerson, REDIRECT, SIGNED_OUT, statement, verdict } from './judge.mjs'

const SCOPE = 'openid email music_assistant.read music_assistant.control'

/** The cloud as this client finds it. Loopback has no TLS, so the signatures of id tokens are checked like anybody's. */
function discover(id, secret, authentication, algorithm = 'oidc') {
  const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks]
  return client.discovery(new URL(cloud.issuer), id, secret, authentication, { execute, algorithm })
}

/** One authorization: the request's parameters, and what the client must check its answer by. */
async function request(more = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const [expectedState, expectedNonce] = [`${client.randomState()} +%&ü`, client.randomNonce()]
  const parameters = {
    redirect_uri: REDIRECT,
    scope: SCOPE,
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...more,
  }
  return { parameters, checks: { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true } }
}

/** The whole way to tokens. */
async function link(config, person, more, dpop) {
  const { parameters, checks } = await request(more)
  const back = await person.browser.decide(client.buildAuthorizationUrl(config, parameters))
  return client.authorizationCodeGrant(config, back, checks, undefined, { DPoP: dpop })
}

const confidential = await newClient('openid-client')
const secret = confidential.client_secret
const person = await newPerson('openid-client')
const config = await discover('openid-client', secret, client.ClientSecretBasic(secret))

await statement('both documents of discovery are accepted and name one issuer', async () => {
  const other = await discover('openid-client', secret, undefined, 'oauth2')
  assert.deepEqual({ ...other.serverMetadata() }, { ...config.serverMetadata() })
  assert.equal(config.serverMetadata().issuer, cloud.issuer)
})

await statement('code, PKCE, state, nonce and iss lead to tokens within 5 s, and an id token with a good signature', async () => {
  const begun = performance.now()
  const tokens = await link(config, person)
  const took = performance.now() - begun
  assert.ok(took < 5000, `${took} ms`)
  const claims = tokens.claims()
  assert.equal(claims.sub, person.account_id)
  assert.equal(claims.aud, 'openid-client')
  assert.ok(tokens.expiresIn() >= 359 && tokens.token_type === 'bearer')
  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
  assert.deepEqual({ ...info }, { sub: person.account_id, email: person.email, email_verified: true })
})

await statement('a refresh takes less than a second, rotates, and keeps subject and scope', async () => {
  const tokens = await link(config, person)
  const begun = performance.now()
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
  const took = performance.now() - begun
  assert.ok(took < 1000, `${took} ms`)
  assert.notEqual(fresh.refresh_token, tokens.refresh_token)
  assert.notEqual(fresh.access_token, tokens.access_token)
  assert.equal(fresh.claims().sub, person.account_id)
  assert.equal(fresh.scope, tokens.scope)
  for (const { access_token } of [tokens, fresh]) await client.fetchUserInfo(config, access_token, person.account_id)
})

await statement('a token is described while it lives, and revoking the refresh token ends the link', async () => {
  const tokens = await link(config, person)
  const described = await client.tokenIntrospection(config, tokens.access_token)
  assert.equal(described.active, true)
  assert.equal(described.sub, person.account_id)
  assert.equal(described.client_id, 'openid-client')
  await client.tokenRevocation(config, tokens.refresh_token)
  for (const token of [tokens.access_token, tokens.refresh_token]) {
    assert.deepEqual({ ...(await client.tokenIntrospection(config, token)) }, { active: false })
  }
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), { error: 'invalid_grant', status: 400 })
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, person.account_id), client.WWWAuthenticateChallengeError)
})

await statement('the secret in the body is as good as HTTP Basic', async () => {
  const other = await discover('openid-client', secret, client.ClientSecretPost(secret))
  const tokens = await link(other, person)
  await client.refreshTokenGrant(other, tokens.refresh_token)
  assert.equal((await client.tokenIntrospection(other, tokens.access_token)).active, true)
})

await statement('a wrong secret is refused as the specification says', async () => {
  for (const way of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const wrong = await discover('openid-client', undefined, way('wrong'))
    await assert.rejects(client.refreshTokenGrant(wrong, 'mcr_x'), (error) => {
      assert.ok(error instanceof client.WWWAuthenticateChallengeError || error.error === 'invalid_client', error)
      return error.status === 401
    })
  }
})

await statement('a public client links with PKCE alone, and its refresh token is spent by its use', async () => {
  await newClient('openid-client-public', '--public')
  const open = await discover('openid-client-public', undefined, client.None())
  const tokens = await link(open, person)
  const fresh = await client.refreshTokenGrant(open, tokens.refresh_token)
  await assert.rejects(client.refreshTokenGrant(open, tokens.refresh_token), { error: 'invalid_grant' })
  await assert.rejects(client.refreshTokenGrant(open, fresh.refresh_token), { error: 'invalid_grant' })
})

await statement('a person who declines comes back as access_denied, with state and iss', async () => {
  const { parameters, checks } = await request()
  const back = await person.browser.decide(client.buildAuthorizationUrl(config, parameters), 'deny')
  await assert.rejects(client.authorizationCodeGrant(config, back, checks), { error: 'access_denied' })
  assert.equal(back.searchParams.get('state'), checks.expectedState)
  assert.equal(back.searchParams.get('iss'), cloud.issuer)
})

await statement('prompt=none asks nobody: login_required without a session, a code with one and consent given', async () => {
  const { parameters, checks } = await request({ prompt: 'none' })
  const nobody = await new Browser().open(client.buildAuthorizationUrl(config, parameters))
  await assert.rejects(client.authorizationCodeGrant(config, nobody.elsewhere, checks), { error: 'login_required' })
  const tokens = await link(config, person, { prompt: 'none' })
  assert.equal(tokens.claims().sub, person.account_id)
})

await statement('prompt=login and max_age make somebody sign in anew, and the id token tells when', async () => {
  const before = (await link(config, person)).claims().auth_time
  await new Promise((resolve) => setTimeout(resolve, 2100))
  const { parameters, checks } = await request({ prompt: 'login' })
  const back = await person.browser.decide(client.buildAuthorizationUrl(config, parameters))
  const again = await client.authorizationCodeGrant(config, back, checks)
  assert.ok(again.claims().auth_time > before)
  await new Promise((resolve) => setTimeout(resolve, 2100))
  const aged = await request({ max_age: '1' })
  const returned = await person.browser.decide(client.buildAuthorizationUrl(config, aged.parameters))
  const anew = await client.authorizationCodeGrant(config, returned, { ...aged.checks, maxAge: 1 })
  assert.ok(anew.claims().auth_time > again.claims().auth_time)
})

await statement('a client that shows a key gets tokens that are of use with that key alone', async () => {
  const dpop = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const tokens = await link(config, person, {}, dpop)
  assert.equal(tokens.token_type, 'dpop')
  const info = await client.fetchUserInfo(config, tokens.access_token, person.account_id, { DPoP: dpop })
  assert.equal(info.sub, person.account_id)
  const described = await client.tokenIntrospection(config, tokens.access_token)
  assert.equal(described.cnf.jkt, await dpop.calculateThumbprint())
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP: dpop })
  assert.equal(fresh.token_type, 'dpop')
  const other = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  for (const wrong of [undefined, other]) {
    await assert.rejects(client.fetchUserInfo(config, fresh.access_token, person.account_id, { DPoP: wrong }), (error) => {
      assert.equal(error.status ?? error.response?.status, 401, error)
      return true
    })
  }
})

await statement('a client may prove itself by a key of its own instead of a secret', async () => {
  for (const algorithm of ['ES256', 'Ed25519']) {
    const { publicKey, privateKey } = await client.randomDPoPKeyPair(algorithm, { extractable: true })
    const id = `openid-client-${algorithm.toLowerCase()}`
    const file = join(cloud.secrets, `${id}.jwks`)
    writeFileSync(file, JSON.stringify({ keys: [{ ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: id }] }))
    await newClient(id, '--jwks-file', file)
    rmSync(file)
    const keyed = await discover(id, undefined, client.PrivateKeyJwt({ key: privateKey, kid: id }))
    const tokens = await link(keyed, person)
    await client.refreshTokenGrant(keyed, tokens.refresh_token)
    assert.equal((await client.tokenIntrospection(keyed, tokens.access_token)).active, true)
    const { privateKey: other } = await client.randomDPoPKeyPair(algorithm)
    const forged = await discover(id, undefined, client.PrivateKeyJwt({ key: other, kid: id }))
    await assert.rejects(client.refreshTokenGrant(forged, tokens.refresh_token), (error) => {
      assert.equal(error.status, 401, error)
      return true
    })
    await client.tokenRevocation(keyed, tokens.refresh_token)
  }
})

await statement('a pushed authorization request works once', async () => {
  const { parameters, checks } = await request()
  const url = await client.buildAuthorizationUrlWithPAR(config, parameters)
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
  const back = await person.browser.decide(url)
  const tokens = await client.authorizationCodeGrant(config, back, checks)
  assert.equal(tokens.claims().sub, person.account_id)
  const page = await person.browser.open(url)
  assert.equal(page.status, 400)
})

await statement('a client can sign its person out, and gets the browser back with its state', async () => {
  const leaver = await newPerson('openid-client-leaver')
  const tokens = await link(config, leaver)
  const parameters = { id_token_hint: tokens.id_token, post_logout_redirect_uri: SIGNED_OUT, state: 's 1' }
  const page = await leaver.browser.open(client.buildEndSessionUrl(config, parameters))
  const { elsewhere } = await leaver.browser.submit(page, '/oauth/logout/confirm', {})
  assert.equal(elsewhere.href, `${SIGNED_OUT}&state=s%201`)
  assert.equal((await leaver.browser.open('/homes')).url.pathname, '/sign-in')
  // The link itself goes on.
  await client.refreshTokenGrant(config, tokens.refresh_token)
})

verdict()
