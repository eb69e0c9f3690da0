// oauth4webapi, the strict core below openid-client: what a person's app does, and what a home does (device grant with
// DPoP, then tokens by private_key_jwt), spelled out request by request.

import assert from 'node:assert/strict'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'

import { cloud, newClient, newPerson, REDIRECT, statement, verdict } from './judge.mjs'

const insecure = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(cloud.issuer)
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
const person = await newPerson('oauth4webapi')
const { client_secret: secret } = await newClient('oauth4webapi', '--require-pkce')
const app = { client_id: 'oauth4webapi' }

/** The whole way to tokens of an app. */
async function link(client, authentication) {
  const [verifier, state, nonce] = [oauth.generateRandomCodeVerifier(), oauth.generateRandomState(), oauth.generateRandomNonce()]
  const url = new URL(server.authorization_endpoint)
  url.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: REDIRECT,
    response_type: 'code',
    scope: 'openid email music_assistant.control',
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const back = await person.browser.decide(url)
  const parameters = oauth.validateAuthResponse(server, client, back, state)
  const answer = await oauth.authorizationCodeGrantRequest(server, client, authentication, parameters, REDIRECT, verifier, insecure)
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, { expectedNonce: nonce, requireIdToken: true })
  await oauth.validateApplicationLevelSignature(server, answer, insecure)
  return tokens
}

async function refresh(client, authentication, token) {
  const answer = await oauth.refreshTokenGrantRequest(server, client, authentication, token, insecure)
  return oauth.processRefreshTokenResponse(server, client, answer)
}

for (const [way, authentication] of [['HTTP Basic', oauth.ClientSecretBasic(secret)], ['the body', oauth.ClientSecretPost(secret)]]) {
  await statement(`with the secret in ${way}: code, userinfo, refresh, introspection, revocation`, async () => {
    const tokens = await link(app, authentication)
    const claims = oauth.getValidatedIdTokenClaims(tokens)
    const info = await oauth.userInfoRequest(server, app, tokens.access_token, insecure)
    await oauth.processUserInfoResponse(server, app, claims.sub, info)
    const fresh = await refresh(app, authentication, tokens.refresh_token)
    const asked = await oauth.introspectionRequest(server, app, authentication, fresh.access_token, insecure)
    assert.equal((await oauth.processIntrospectionResponse(server, app, asked)).active, true)
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, app, authentication, fresh.refresh_token, insecure))
    await assert.rejects(refresh(app, authentication, tokens.refresh_token), { error: 'invalid_grant' })
  })
}

await statement('the link survives a lost answer and fifty refreshes at once', async () => {
  const basic = oauth.ClientSecretBasic(secret)
  const { refresh_token } = await link(app, basic)
  await oauth.refreshTokenGrantRequest(server, app, basic, refresh_token, insecure).then((lost) => lost.body.cancel())
  const all = await Promise.all(Array.from({ length: 50 }, () => refresh(app, basic, refresh_token)))
  for (const tokens of all.slice(0, 10)) await refresh(app, basic, tokens.refresh_token)
})

// --- a home ------------------------------------------------------------------------------------------------------------

const keys = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
const { x } = await crypto.subtle.exportKey('jwk', keys.publicKey)
const connector = { client_id: 'ma-connector' }

/** The request, again with the nonce that the server asks for. */
async function withNonce(request, process) {
  try {
    return await process(await request())
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return process(await request())
  }
}

async function begin() {
  const proof = await new jose.SignJWT({ aud: cloud.issuer, key: x, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'macloud-pair+jwt' })
    .sign(keys.privateKey)
  const parameters = { instance_key: x, instance_proof: proof, instance_name: 'Attic' }
  const answer = await oauth.deviceAuthorizationRequest(server, connector, oauth.None(), parameters, insecure)
  return oauth.processDeviceAuthorizationResponse(server, connector, answer)
}

function poll(begun, DPoP) {
  const request = () => oauth.deviceCodeGrantRequest(server, connector, oauth.None(), begun.device_code, { ...insecure, DPoP })
  return withNonce(request, (answer) => oauth.processDeviceCodeResponse(server, connector, answer))
}

const home = await statement('a home pairs by the device grant, with its key in DPoP proofs', async () => {
  const DPoP = oauth.DPoP(connector, keys)
  const begun = await begin()
  await assert.rejects(poll(begun, DPoP), { error: 'authorization_pending' })
  await assert.rejects(poll(begun, DPoP), { error: 'slow_down' })
  const page = await person.browser.signedIn(begun.verification_uri_complete)
  await person.browser.submit(page, '/pair', { name: 'Attic', decision: 'allow' })
  const tokens = await poll(begun, DPoP)
  assert.equal(tokens.token_type, 'dpop')
  // An answer that was lost is given again, to whoever has the key.
  assert.equal((await poll(begun, DPoP)).instance_id, tokens.instance_id)
  const other = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  await assert.rejects(poll(begun, oauth.DPoP(connector, other)), { status: 400 })
  return tokens.instance_id
})

await statement('a person who declines is told to the home', async () => {
  const begun = await begin()
  const page = await person.browser.signedIn(begun.verification_uri_complete)
  await person.browser.submit(page, '/pair', { name: 'Attic', decision: 'deny' })
  await assert.rejects(poll(begun, oauth.DPoP(connector, keys)), { error: 'access_denied' })
})

await statement('the home gets tokens by private_key_jwt, bound to its key', async () => {
  const instance = { client_id: home }
  const DPoP = oauth.DPoP(instance, keys)
  const authentication = oauth.PrivateKeyJwt(keys.privateKey)
  const request = () => oauth.clientCredentialsGrantRequest(server, instance, authentication, { scope: 'relay' }, { ...insecure, DPoP })
  const tokens = await withNonce(request, (answer) => oauth.processClientCredentialsResponse(server, instance, answer))
  const jwks = jose.createRemoteJWKSet(new URL(server.jwks_uri))
  const { payload } = await jose.jwtVerify(tokens.access_token, jwks, { issuer: cloud.issuer, typ: 'at+jwt', subject: home })
  const thumbprint = await jose.calculateJwkThumbprint(await jose.exportJWK(keys.publicKey))
  assert.equal(payload.cnf.jkt, thumbprint)
})

await statement('another key gets nothing in the name of that home', async () => {
  const instance = { client_id: home }
  const other = await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])
  const request = () => {
    const options = { ...insecure, DPoP: oauth.DPoP(instance, other) }
    return oauth.clientCredentialsGrantRequest(server, instance, oauth.PrivateKeyJwt(other.privateKey), {}, options)
  }
  await assert.rejects(withNonce(request, (answer) => oauth.processClientCredentialsResponse(server, instance, answer)), (error) => {
    assert.equal(error.status, 401)
    return true
  })
})

verdict()
