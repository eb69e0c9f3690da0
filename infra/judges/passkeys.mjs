// Passkeys in a real browser: Chromium with a virtual authenticator makes one and signs in with it, in all the places where
// that can be done, and with JavaScript off nothing is in the way.

import assert from 'node:assert/strict'

import { chromium } from 'playwright-core'

import { PASSWORD, statement, verdict } from './judge.mjs'
import { startCloud } from './own_cloud.mjs'

const EMAIL = 'ada@example.org'
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

const cloud = await startCloud()
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS })

/** A fresh browser profile; `authenticator` as the browser's developer tools take it. */
async function profile(authenticator) {
  const context = await browser.newContext({ locale: 'en', baseURL: cloud.issuer })
  const page = await context.newPage()
  page.setDefaultTimeout(10_000)
  const tools = await context.newCDPSession(page)
  await tools.send('WebAuthn.enable', { enableUI: false })
  const { authenticatorId } = await tools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true, ...authenticator,
    },
  })
  return { context, page, tools, authenticatorId }
}

/** What synchronisation does. With them go their counters: one that falls behind looks like a copy that a thief made. */
async function copyPasskeys(from, to) {
  const { credentials } = await from.tools.send('WebAuthn.getCredentials', { authenticatorId: from.authenticatorId })
  await to.tools.send('WebAuthn.clearCredentials', { authenticatorId: to.authenticatorId })
  for (const credential of credentials) {
    await to.tools.send('WebAuthn.addCredential', { authenticatorId: to.authenticatorId, credential })
  }
  return credentials
}

/** Press the button and be told no. Nobody touches the device after that, or the page's next offer would be answered, too. */
async function refused({ page, tools, authenticatorId }) {
  const button = page.locator('form[action="/sign-in/passkey"] button')
  await button.waitFor({ state: 'visible' })
  await tools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled: true })
  const said = page.waitForResponse((answer) => answer.request().method() === 'POST')
  await button.click().catch(() => {})
  await tools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled: false })
  assert.equal((await said).status(), 422)
  await page.locator('#problem').waitFor({ state: 'visible' })
}

const press = (page, action) => page.locator(`form[action="${action}"] button[type=submit]`).first().click()

const phone = await profile({})
await statement('somebody signs up and adds a passkey with a name', async () => {
  const { page } = phone
  await page.goto('/sign-up')
  await page.fill('#email', EMAIL)
  await page.fill('#password', PASSWORD)
  await press(page, '/sign-up')
  await page.waitForURL('**/homes')
  await page.goto('/security/passkeys')
  await page.fill('form[data-passkey=create] input[name=name]', 'My phone')
  await press(page, '/security/passkeys/add')
  await page.getByText('My phone can sign you in').waitFor()
  assert.ok(cloud.mails().some((mail) => mail.includes('was just added')))
})

await statement('the same device is not added twice: the browser refuses, and the page says so', async () => {
  await press(phone.page, '/security/passkeys/add')
  await phone.page.locator('form[data-passkey=create] [data-passkey-problem]').waitFor({ state: 'visible' })
})

const laptop = await profile({ automaticPresenceSimulation: false })
await statement('another browser with the same passkey signs in at the press of one button', async () => {
  const credentials = await copyPasskeys(phone, laptop)
  assert.equal(credentials.length, 1)
  assert.ok(credentials[0].isResidentCredential, 'it is found without an address')
  const { page, tools, authenticatorId } = laptop
  await page.goto('/sign-in?next=%2Fapps')
  const button = page.locator('form[action="/sign-in/passkey"] button')
  await button.waitFor({ state: 'visible' })
  await tools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled: true })
  await Promise.all([page.waitForURL('**/apps'), button.click().catch(() => {})])
})

await statement('no script ran that the page does not allow', async () => {
  const { page } = phone
  const complaints = []
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  for (const path of ['/sign-in?again=1', '/security', '/security/passkeys']) await page.goto(path)
  assert.deepEqual(complaints, [])
})

await statement('somebody who is signed in shows anew that it is them with the passkey', async () => {
  const { page } = phone
  await copyPasskeys(laptop, phone)
  await page.goto('/sign-in?next=%2Fsecurity&again=1')
  await page.getByRole('heading', { name: 'Show that it is you' }).waitFor()
  await Promise.all([page.waitForURL('**/security'), page.locator('form[action="/sign-in/passkey"] button').click()])
})

await statement('whoever cannot show who they are to their device is not signed in', async () => {
  const thief = await profile({ isUserVerified: false, automaticPresenceSimulation: false })
  await copyPasskeys(phone, thief)
  const { page, tools, authenticatorId } = thief
  await page.goto('/sign-in')
  await tools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId, enabled: true })
  await page.locator('form[action="/sign-in/passkey"] button').click()
  await page.locator('form[action="/sign-in/passkey"] [data-passkey-problem]').waitFor({ state: 'visible' })
  assert.equal(new URL(page.url()).pathname, '/sign-in')
  await thief.context.close()
})

await statement('without scripts the page shows nothing that does not work, and the password signs in', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: cloud.issuer, locale: 'en' })
  const page = await context.newPage()
  await page.goto('/sign-in')
  assert.equal(await page.locator('form[action="/sign-in/passkey"]').isVisible(), false)
  await page.fill('#email', EMAIL)
  await page.fill('#password', PASSWORD)
  await press(page, '/sign-in')
  await page.waitForURL('**/homes')
  await page.goto('/security/passkeys')
  assert.ok(await page.locator('[data-passkey-missing]').isVisible())
  await context.close()
})

await statement('a passkey that was removed signs in no more', async () => {
  const { page } = phone
  await page.goto('/security/passkeys')
  await page.locator('summary').first().click()
  await page.locator('form[action$="/remove"] button').click()
  await page.waitForURL('**/security/passkeys')
  await copyPasskeys(phone, laptop)
  await laptop.context.clearCookies()
  await laptop.tools.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId: laptop.authenticatorId, enabled: false })
  await laptop.page.goto('/sign-in')
  await refused(laptop)
})

await browser.close()
await cloud.stop()
verdict()
