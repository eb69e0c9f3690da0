// Signing in through another OpenID provider: node-oidc-provider, which others wrote and which is certified.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import Provider from 'oidc-provider'

import { freePort, startCloud } from './own_cloud.mjs'
import { statement, verdict } from './judge.mjs'

const SECRET = 'what the cloud and its provider know'
const directory = mkdtempSync(join(tmpdir(), 'macloud-judge-provider.'))
const port = await freePort()
const issuer = `http://127.0.0.1:${port}`
const file = join(directory, 'provider.toml')
writeFileSync(join(directory, 'secret'), `${SECRET}\n`)
writeFileSync(file, `
id = "home"
name = "The judge's provider"
issuer = "${issuer}"
client_id = "ma-cloud"
client_secret_file = "secret"
dangerous_allow_private_addresses = true
`)
const cloud = await startCloud('--identity-provider-file', file)

// Who signs in there at the moment.
let person = { sub: 'ada-there', email: 'ada@example.org', email_verified: true }
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'ma-cloud', client_secret: SECRET, redirect_uris: [`${cloud.issuer}/sign-in/from/home`],
    token_endpoint_auth_method: 'client_secret_basic',
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...person, sub: id }) }),
  cookies: { keys: ['a key of the judge'] },
})
const callback = provider.callback()
const server = createServer(async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return callback(request, response)
  const { prompt, params, session } = await provider.interactionDetails(request, response)
  const result = { login: { accountId: person.sub } }
  if (prompt.name === 'consent') {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
    grant.addOIDCScope(params.scope)
    result.consent = { grantId: await grant.save() }
  }
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
})
server.listen(port, '127.0.0.1')
await once(server, 'listening')

/** A browser without scripts that goes to both and keeps their cookies apart. */
class Traveller {
  cookies = new Map()

  async open(target, form) {
    let url = new URL(target, cloud.issuer)
    for (let hop = 0; hop < 20; hop += 1) {
      const jar = this.cookies.get(url.host) ?? new Map()
      this.cookies.set(url.host, jar)
      const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '), 'accept-language': 'en' }
      if (form) Object.assign(headers, { origin: cloud.issuer, 'sec-fetch-site': 'same-origin' })
      const answer = await fetch(url, {
        redirect: 'manual', headers, ...(form && { method: 'POST', body: new URLSearchParams(form) }),
      })
      for (const cookie of answer.headers.getSetCookie()) {
        const [name, ...value] = cookie.split(';')[0].split('=')
        jar.set(name, value.join('='))
      }
      const html = await answer.text()
      form = undefined
      const refresh = html.match(/http-equiv="refresh" content="0; url=([^"]*)"/)?.[1]
      const next = answer.headers.get('location') ?? refresh?.replaceAll('&#38;', '&').replaceAll('&amp;', '&')
      if (!next) return { url, status: answer.status, html }
      url = new URL(next, url)
    }
    throw new Error(`too many redirects, last to ${url}`)
  }

  async submit(page, action) {
    const form = page.html.match(new RegExp(`<form[^>]*action="${action}"[^]*?</form>`))?.[0]
    assert.ok(form, `no form for ${action} in ${page.html}`)
    const hidden = [...form.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g)]
    return this.open(action, hidden.map(([, name, value]) => [name, value]))
  }

  async signIn(page = '/sign-in?next=%2Fapps') {
    return this.submit(await this.open(page), '/sign-in/with/home')
  }
}

const ada = new Traveller()
await statement('somebody new signs in there and has an account here', async () => {
  const landed = await ada.signIn()
  assert.deepEqual([landed.status, landed.url.pathname], [200, '/apps'], landed.html)
  assert.match(landed.html, /ada@example\.org/)
})

await statement('in another browser it is the same account, whatever the address is by then', async () => {
  person = { ...person, email: 'moved@example.org' }
  const landed = await new Traveller().signIn('/sign-in?next=%2Fsecurity%2Fproviders')
  assert.equal(landed.url.pathname, '/security/providers', landed.html)
  assert.match(landed.html, /The judge&#39;s provider/)
  assert.match(landed.html, /ada@example\.org/)
})

await statement('to show anew that it is them, people sign in there anew', async () => {
  const landed = await ada.signIn('/sign-in?next=%2Fsecurity&again=1')
  assert.deepEqual([landed.status, landed.url.pathname], [200, '/security'], landed.html)
})

await statement('an address that the provider does not vouch for makes no account', async () => {
  person = { sub: 'eve-there', email: 'eve@example.org', email_verified: false }
  const landed = await new Traveller().signIn()
  assert.equal(landed.status, 422, landed.html)
  assert.match(landed.html, /does not vouch/)
})

await statement("somebody else's address opens nobody's account", async () => {
  person = { sub: 'eve-there', email: 'ada@example.org', email_verified: true }
  const eve = new Traveller()
  const landed = await eve.signIn()
  assert.equal(landed.status, 422, landed.html)
  assert.equal((await eve.open('/homes')).url.pathname, '/sign-in')
})

server.close()
server.closeAllConnections()
await cloud.stop()
rmSync(directory, { recursive: true })
verdict()
