// What the judges that run on Node.js share: the cloud they judge, people and clients to do it with, a browser without
// scripts, and statements that are true or not.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

export const cloud = JSON.parse(readFileSync(process.env.MACLOUD_JUDGE, 'utf8'))
export const PASSWORD = 'correct horse battery'
export const REDIRECT = 'https://layla.amazon.com/api/skill/link/M1'
export const SIGNED_OUT = 'https://app.example/signed-out?from=cloud'

let failures = 0

/** Try one statement; the judge goes on whether it is true or not. What the check returns, when it is. */
export async function statement(text, check) {
  try {
    const outcome = await check()
    console.log(`true   ${text}`)
    return outcome
  } catch (error) {
    failures += 1
    console.log(`FALSE  ${text}\n${error.stack}${error.cause ? `\n${JSON.stringify(error.cause)}` : ''}`)
    return undefined
  }
}

/** Call this at the end. */
export function verdict() {
  const name = `${basename(process.argv[1])}.json`
  writeFileSync(join(cloud.secrets, name), JSON.stringify([...secrets]))
  process.exit(failures === 0 ? 0 : 1)
}

// --- what nobody else may ever read ------------------------------------------------------------------------------------

/** Every secret that was sent or received: infra/judge looks for them in the log, the numbers and the database. */
const secrets = new Set([PASSWORD])
const SECRET_FIELDS = [
  'code', 'code_verifier', 'access_token', 'refresh_token', 'id_token', 'token', 'client_secret', 'client_assertion', 'password',
  'device_code', 'user_code', 'request_uri', 'form_token', 'ticket',
]

/** Remember a secret that did not come by a way that is watched. */
export function keepSecret(text) {
  if (typeof text === 'string' && text.length >= 8) secrets.add(text)
}

function keepFields(fields) {
  for (const name of SECRET_FIELDS) keepSecret(fields[name])
}

const send = globalThis.fetch
globalThis.fetch = async (target, options = {}) => {
  if (options.body instanceof URLSearchParams) keepFields(Object.fromEntries(options.body))
  const answer = await send(target, options)
  for (const cookie of answer.headers.getSetCookie()) keepSecret(cookie.split(';')[0].replace(/^[^=]*=/, ''))
  const location = answer.headers.get('location')
  if (location) keepFields(Object.fromEntries(new URL(location, cloud.issuer).searchParams))
  if (answer.headers.get('content-type')?.includes('json')) keepFields(await answer.clone().json().catch(() => ({})))
  return answer
}

/** Run an operator's command. */
export function admin(args, input = '') {
  return new Promise((resolve, reject) => {
    const [program, ...before] = cloud.admin
    const child = spawn(program, [...before, ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
    let [out, said] = ['', '']
    child.stdout.on('data', (data) => (out += data))
    child.stderr.on('data', (data) => (said += data))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) {
        const said = out.trim() === '' ? {} : JSON.parse(out)
        keepFields(said)
        resolve(said)
      }
      else reject(new Error(`${args.join(' ')}: ${said}`))
    })
    child.stdin.end(input)
  })
}

/** A new OAuth client; `flags` as `ma-cloud admin client create` takes them. */
export function newClient(id, ...flags) {
  return admin([
    'client', 'create', '--client-id', id, '--redirect-uri', REDIRECT, '--post-logout-redirect-uri', SIGNED_OUT, ...flags,
  ])
}

/** A new person with an account. */
export async function newPerson(name) {
  const email = `${name}@example.org`
  const { account_id } = await admin(['user', 'create', '--email', email, '--password-stdin'], `${PASSWORD}\n`)
  return { email, account_id, browser: new Browser(email) }
}

/** Fetches pages, keeps cookies, fills in forms: what works here works without scripts. */
export class Browser {
  constructor(email) {
    this.email = email
    this.cookies = new Map()
  }

  /** Go somewhere; follows redirects within the cloud. `{ url, status, html }`, or `{ elsewhere }` when led out of it. */
  async open(target, form) {
    let url = new URL(target, cloud.issuer)
    for (let hop = 0; hop < 8; hop += 1) {
      if (url.origin !== cloud.issuer) return { elsewhere: url }
      const headers = { cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
      if (form) Object.assign(headers, { origin: cloud.issuer, 'sec-fetch-site': 'same-origin' })
      const options = { redirect: 'manual', headers, ...(form && { method: 'POST', body: new URLSearchParams(form) }) }
      const answer = await fetch(url, options)
      for (const cookie of answer.headers.getSetCookie()) {
        const [pair] = cookie.split(';')
        const at = pair.indexOf('=')
        this.cookies.set(pair.slice(0, at), pair.slice(at + 1))
      }
      const html = await answer.text()
      if (answer.status !== 303) return { url, status: answer.status, html }
      url = new URL(answer.headers.get('location'), url)
      form = undefined
    }
    throw new Error(`too many redirects, last to ${url}`)
  }

  /** Send the form on this page that posts to `action`, with these answers beside its hidden fields. */
  async submit(page, action, answers) {
    assert.equal(page.status, 200, page.html ?? `led to ${page.elsewhere}`)
    const found = formOf(page, action)
    return this.open(found.action, [...found.hidden, ...Object.entries(answers)])
  }

  /** Where a page leads that may want a sign-in first. */
  async signedIn(target) {
    const page = await this.open(target)
    if (page.url?.pathname !== '/sign-in') return page
    return this.submit(page, '/sign-in', { email: this.email, password: PASSWORD })
  }

  /** Follow a link of a client to the consent page and decide there: where the client gets the browser back. */
  async decide(link, decision = 'allow') {
    const page = await this.signedIn(link)
    if (page.elsewhere) return page.elsewhere
    const left = await this.submit(page, '/oauth/consent', { decision })
    assert.ok(left.elsewhere, left.html)
    return left.elsewhere
  }
}

function formOf(page, action) {
  const forms = page.html.match(/<form[^>]*>[^]*?<\/form>/g) ?? []
  const html = forms.find((form) => attribute(form, 'action')?.startsWith(action))
  assert.ok(html, `no form for ${action} in ${page.html}`)
  const inputs = html.match(/<input[^>]*type="hidden"[^>]*>/g) ?? []
  const hidden = inputs.map((input) => [attribute(input, 'name'), attribute(input, 'value')])
  return { action: attribute(html, 'action'), hidden }
}

function attribute(tag, name) {
  const value = tag.match(new RegExp(` ${name}="([^"]*)"`))?.[1]
  return value?.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(amp|lt|gt|quot));/gi, (_, decimal, hex, word) => {
    if (word) return { amp: '&', lt: '<', gt: '>', quot: '"' }[word]
    return String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16))
  })
}
