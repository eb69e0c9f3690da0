// The pages, in a real browser: can everybody use them? Linking an Alexa with the keyboard alone and without scripts, in at
// most four steps; every page in both languages, light and dark, on a phone and on a desk: axe-core finds nothing serious,
// nothing needs sideways scrolling at 320 px or with text twice as large, and the focus can always be seen.
//
// MACLOUD_SCREENSHOTS names a directory for a picture of every page; without it none are taken.

import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { chromium } from 'playwright-core'

import { PASSWORD, REDIRECT, cloud, keepSecret, newClient, statement, verdict } from './judge.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const PICTURES = process.env.MACLOUD_SCREENSHOTS
const EMAIL = 'pages@example.org'
const ALEXA = { client_id: 'alexa-pages', redirect_uri: REDIRECT, scope: 'music_assistant.read music_assistant.control' }
/** What a stranger sees, and what only whoever is signed in. Links on these pages are followed, too. */
const PUBLIC = ['/', '/sign-in', '/sign-up', '/forgot', '/reset', '/privacy', '/terms', '/nothing-here']
const PRIVATE = ['/homes', '/apps', '/activity', '/security', '/sessions', '/pair', '/verify', '/account/delete', '/sign-out']
const STEPS_AT_MOST = 4

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
})

// --- the ways through --------------------------------------------------------------------------------------------------

const client = await newClient(ALEXA.client_id)
const problems = new Map()

/** Note what is wrong with a page; said once for each page, in whatever dress it was seen. */
function wrong(page, text) {
  const where = new URL(page.url()).pathname
  problems.set(`${where}: ${text}`, true)
}

await statement('sign-up, link and consent go by keyboard alone, without scripts, in at most four steps', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 640 }, locale: 'en-US' })
  const page = await context.newPage()
  const steps = []
  const step = async (name) => {
    steps.push(name)
    assert.ok(!(await overflows(page)), `${name} needs sideways scrolling at 320 px`)
  }
  await page.goto(authorizeLink())
  await step('sign in')
  await press(page, 'a[href^="/sign-up"]')
  await step('sign up')
  await type(page, '#email', EMAIL)
  await type(page, '#password', PASSWORD)
  await enter(page)
  await step('consent')
  const answer = await leave(page, 'button[value=allow]')
  assert.equal(answer.searchParams.get('state'), 'a state that comes back')
  assert.ok(answer.searchParams.get('code'))
  steps.push('back in the app')
  assert.ok(steps.length <= STEPS_AT_MOST, steps.join(', '))
  await redeem(answer.searchParams.get('code'))
  await context.close()
})

await statement('saying no leads back to the app as well', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false })
  const page = await context.newPage()
  await signIn(page)
  await page.goto(authorizeLink())
  const answer = await leave(page, 'button[value=deny]')
  assert.equal(answer.searchParams.get('error'), 'access_denied')
  await context.close()
})

await statement('a home is paired by keyboard alone, without scripts', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 640 } })
  const page = await context.newPage()
  await signIn(page)
  const connector = await beginPairing('Ferienhaus an der See')
  await page.goto(`${cloud.issuer}/pair`)
  await type(page, '#user_code', connector.user_code)
  await enter(page)
  assert.ok((await page.textContent('.fingerprint')).includes(connector.fingerprint))
  await press(page, 'button[value=allow]')
  await connector.finish()
  await page.goto(`${cloud.issuer}/homes`)
  assert.ok((await page.textContent('main')).includes('Ferienhaus an der See'))
  await context.close()
})

// --- every page, in every dress ------------------------------------------------------------------------------------------

// Colours move nothing, words colour nothing, and neither changes what the keyboard reaches: each is looked at where it matters.
const DRESSES = [
  { locale: 'en-US', colorScheme: 'light', widths: true, focus: true },
  { locale: 'en-US', colorScheme: 'dark' },
  { locale: 'de-DE', colorScheme: 'light', widths: true },
]
let seen = 0
for (const { locale, colorScheme, ...matters } of DRESSES) {
  await statement(`every page is usable by everybody (${locale}, ${colorScheme})`, async () => {
    const context = await browser.newContext({ locale, colorScheme, viewport: { width: 390, height: 844 } })
    const page = await context.newPage()
    const language = locale.slice(0, 2)
    const look = (name) => lookAt(page, `${language}-${colorScheme}-${name}`, language, matters)
    for (const path of PUBLIC) {
      await page.goto(cloud.issuer + path)
      await look(path)
    }
    await refusals(page, look)
    await page.goto(authorizeLink())
    await look('linking-sign-in')
    await signIn(page)
    await page.goto(authorizeLink())
    await look('consent')
    await follow(page, PRIVATE, look)
    await changes(page, look)
    await context.close()
    const found = [...problems.keys()]
    problems.clear()
    assert.deepEqual(found, [])
  })
}
console.log(`looked at ${seen} pages`)
await browser.close()
verdict()

/** Pages that are reached by links from these, each once; nothing is changed by following a link. */
async function follow(page, paths, look) {
  const known = new Set(paths)
  for (const path of known) {
    await page.goto(cloud.issuer + path)
    await look(path)
    const links = await page.$$eval('a[href]', (all) => all.map((link) => new URL(link.href).pathname))
    for (const link of links) {
      if (!/^\/(assets|language|oauth)\//.test(link) && !PUBLIC.includes(link)) known.add(link)
    }
  }
}

/** Forms that were filled in wrongly. */
async function refusals(page, look) {
  await page.goto(`${cloud.issuer}/sign-in`)
  await page.fill('#email', 'nobody@example.org')
  await page.fill('#password', 'a wrong password')
  await submit(page, '/sign-in')
  await look('sign-in-wrong')
  await page.goto(`${cloud.issuer}/sign-up`)
  await page.fill('#email', EMAIL)
  await page.fill('#password', PASSWORD)
  await submit(page, '/sign-up')
  await look('sign-up-taken')
  await page.goto(`${cloud.issuer}/forgot`)
  await page.fill('#email', 'nobody@example.org')
  await submit(page, '/forgot')
  await look('reset')
  await page.fill('#code', 'WRNG-CDEX')
  await page.fill('#password', PASSWORD)
  await submit(page, '/reset')
  await look('reset-wrong')
  const answer = await page.goto(`${cloud.issuer}/oauth/authorize?client_id=unknown`)
  assert.equal(answer.status(), 400)
  await look('unknown-app')
}

/** Pages that only a posted form shows. */
async function changes(page, look) {
  await page.goto(`${cloud.issuer}/pair`)
  await page.fill('#user_code', 'WRNG-CDEX')
  await submit(page, '/pair')
  await look('pair-wrong')
  const another = await beginPairing('Zuhause')
  await page.goto(`${cloud.issuer}/pair?user_code=${another.user_code}`)
  await look('pair-confirm')
  await press(page, 'button[value=deny]')
  await look('pair-refused')
  await page.goto(`${cloud.issuer}/security`)
  await page.fill('#new_password', EMAIL)
  await submit(page, '/security/password')
  await look('password-refused')
  await submit(page, '/security/app')
  await look('authenticator-app')
  await page.goto(`${cloud.issuer}/homes`)
  const home = await page.$eval('a[href^="/homes/"]', (link) => link.href)
  await page.goto(home)
  await submit(page, '/homes/', /pause$/)
  await look('home-paused')
  await submit(page, '/homes/', /resume$/)
  await page.goto(`${home}/invite`)
  await page.fill('#name', 'Oma Änne')
  await submit(page, '/homes/', /invite$/)
  await look('invited')
  await page.goto(await page.$eval('a[href*="/join?"]', (link) => link.href))
  await look('join-own')
}

// --- what is asked of a page ---------------------------------------------------------------------------------------------

async function lookAt(page, name, language, matters) {
  seen += 1
  const file = name.replaceAll('/', '_')
  assert.equal(await page.getAttribute('html', 'lang'), language)
  await page.evaluate(AXE)
  const found = await page.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
  for (const violation of found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')) {
    const { any, target } = violation.nodes[0]
    wrong(page, `axe ${violation.id} at ${target}: ${any[0]?.message ?? violation.help}`)
  }
  await picture(page, `${file}-390`)
  if (matters.focus) await seesFocus(page)
  if (!matters.widths && !PICTURES) return
  for (const [width, scale] of [[320, 1], [640, 2], [1280, 1]]) {
    await page.setViewportSize({ width, height: 844 })
    await page.evaluate((scale) => (document.documentElement.style.fontSize = `${scale * 100}%`), scale)
    if (await overflows(page)) wrong(page, `needs sideways scrolling at ${width} px with text at ${scale * 100} %`)
    for (const cut of await cutOff(page)) wrong(page, `text is cut off at ${width} px with text at ${scale * 100} %: ${cut}`)
    if (scale === 1) await picture(page, `${file}-${width}`)
  }
  await page.evaluate(() => (document.documentElement.style.fontSize = ''))
  await page.setViewportSize({ width: 390, height: 844 })
}

function overflows(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
}

function cutOff(page) {
  return page.evaluate(() => {
    const shown = [...document.querySelectorAll('main *, header *, footer *')].filter((one) => !one.closest('.hidden, svg'))
    const cut = shown.filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX === 'hidden')
    // An ellipsis on somebody's own address says itself that something is left out.
    return cut.filter((one) => getComputedStyle(one).textOverflow !== 'ellipsis').map((one) => one.textContent.trim().slice(0, 40))
  })
}

/** Everything that the keyboard reaches shows it, and is not beneath something else. */
async function seesFocus(page) {
  await page.evaluate(() => document.activeElement?.blur())
  for (let stop = 0; stop < 80; stop += 1) {
    await page.keyboard.press('Tab')
    const focus = await page.evaluate(() => {
      const one = document.activeElement
      if (!one || one === document.body) return undefined
      const { outlineStyle, outlineWidth } = getComputedStyle(one)
      const box = one.getBoundingClientRect()
      const name = `${one.tagName.toLowerCase()} ${one.textContent.trim().slice(0, 30)}`
      return { name, seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && box.width > 0 && box.bottom > 0 }
    })
    if (!focus) return
    if (!focus.seen) wrong(page, `the focus cannot be seen at ${focus.name}`)
  }
}

async function picture(page, name) {
  if (!PICTURES) return
  mkdirSync(PICTURES, { recursive: true })
  await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true })
}

// --- a person at the keyboard --------------------------------------------------------------------------------------------

/** Go there with the Tab key, as somebody without a mouse does. */
async function reach(page, selector) {
  for (let stop = 0; stop < 60; stop += 1) {
    if (await page.$eval(selector, (one) => one === document.activeElement).catch(() => false)) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`${selector} cannot be reached with the Tab key on ${page.url()}`)
}

async function type(page, selector, text) {
  await page.waitForSelector(selector)
  await reach(page, selector)
  await page.keyboard.type(text)
}

async function press(page, selector) {
  await page.waitForSelector(selector)
  await reach(page, selector)
  await enter(page)
}

/** What the Enter key leads to. */
async function enter(page) {
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
}

async function submit(page, action, ending = /$/) {
  const forms = await page.$$(`form[action^="${action}"]`)
  for (const form of forms) {
    const to = await form.getAttribute('action')
    if (!ending.test(to)) continue
    const [answer] = await Promise.all([page.waitForNavigation(), form.$eval('button', (button) => button.click())])
    return answer
  }
  return assert.fail(`no form for ${action} on ${page.url()}`)
}

async function signIn(page) {
  await page.goto(`${cloud.issuer}/sign-in`)
  await type(page, '#email', EMAIL)
  await type(page, '#password', PASSWORD)
  await enter(page)
}

// --- an app and a connector ----------------------------------------------------------------------------------------------

function authorizeLink() {
  const request = { response_type: 'code', state: 'a state that comes back', ...ALEXA }
  return `${cloud.issuer}/oauth/authorize?${new URLSearchParams(request)}`
}

/** Press this button; the address with which the browser comes back to the app, which is not there in this test. */
async function leave(page, selector) {
  const comesBack = page.waitForRequest((request) => request.url().startsWith(REDIRECT))
  await reach(page, selector)
  await page.keyboard.press('Enter')
  return new URL((await comesBack).url())
}

async function redeem(code) {
  const body = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT })
  const authorization = `Basic ${btoa(`${client.client_id}:${client.client_secret}`)}`
  const answer = await fetch(`${cloud.issuer}/oauth/token`, { method: 'POST', body, headers: { authorization } })
  assert.equal(answer.status, 200, await answer.text())
}

async function beginPairing(name) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const jwk = publicKey.export({ format: 'jwk' })
  const sealed = (header, claims) => {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const text = `${part({ alg: 'EdDSA', ...header })}.${part({ jti: randomUUID(), ...claims })}`
    return `${text}.${sign(null, text, privateKey).toString('base64url')}`
  }
  const instance_proof = sealed({ typ: 'macloud-pair+jwt' }, { aud: cloud.issuer, key: jwk.x })
  const form = { client_id: 'ma-connector', scope: 'pair', instance_key: jwk.x, instance_name: name, instance_proof }
  const begun = await fetch(`${cloud.issuer}/oauth/device_authorization`, { method: 'POST', body: new URLSearchParams(form) })
  assert.equal(begun.status, 200, await begun.clone().text())
  const pairing = await begun.json()
  keepSecret(pairing.device_code)
  const grant = {
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: pairing.device_code, client_id: 'ma-connector',
  }
  const ask = (nonce) => {
    const htu = `${cloud.issuer}/oauth/token`
    const { kty, crv, x } = jwk
    const dpop = sealed({ typ: 'dpop+jwt', jwk: { kty, crv, x } }, { htm: 'POST', htu, iat: Math.floor(Date.now() / 1000), nonce })
    return fetch(htu, { method: 'POST', headers: { dpop }, body: new URLSearchParams(grant) })
  }
  const finish = async () => {
    const first = await ask()
    const answer = first.status === 200 ? first : await ask(first.headers.get('dpop-nonce'))
    assert.equal(answer.status, 200, await answer.text())
  }
  return { ...pairing, finish }
}
