// The demo's simulator page, in a real browser: is all there that it promises, and does talking to it do what it says? In every
// language it has, with and without a linked account, at more than one Echo.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { chromium } from 'playwright-core'

import { cloud, statement, verdict } from './judge.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const demo = spawn(cloud.admin[0], ['demo', '--simulator-listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] })
process.on('exit', () => demo.kill())
const address = await new Promise((found, missed) => {
  let said = ''
  demo.stdout.on('data', (text) => {
    said += text
    const open = said.match(/Open (http:\S+) /)
    if (open) found(open[1])
  })
  demo.on('exit', () => missed(new Error(`the demo ended: ${said}`)))
})

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync'],
})
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
const complaints = []
page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
page.on('pageerror', (error) => complaints.push(error.message))
await page.goto(address)
await page.waitForSelector('#players .card')

/** Say it, and wait for the answer. */
async function say(text, { locale = 'en-US', device = 'kitchen', account = 'linked' } = {}) {
  await page.selectOption('#locale', locale)
  await page.selectOption('#device', device)
  await page.selectOption('#account', account)
  await page.fill('#say', text)
  const [answer] = await Promise.all([page.waitForResponse('**/simulator/api/say'), page.press('#say', 'Enter')])
  await page.waitForSelector('#answer .bubble:not(.waiting) .speech')
  return { speech: await page.textContent('#answer .speech'), status: answer.status() }
}

await statement('whoever opens it sees the home, its players, and whose account it is', async () => {
  assert.equal(await page.textContent('#home-status'), 'is connected')
  assert.deepEqual(await page.locator('#players h3').allTextContents(), ['Kitchen', 'Living Room', 'Bedroom'])
  assert.match(await page.textContent('#account option[value=linked]'), /@/)
  assert.deepEqual(await page.locator('#locale option').count(), 6)
})

await statement('a wish plays: the answer, the way with its times, what the relay saw, both messages and the player are shown', async () => {
  const { speech } = await say('play Kind of Blue in the kitchen')
  // The first player that is named to an Echo is the one that it is used with, which is said too.
  assert.match(speech, /^Playing Kind of Blue by Miles Davis on Kitchen\./)
  assert.ok((await page.locator('#hops .hop').count()) >= 8)
  assert.match(await page.textContent('#total'), /ms|µs|s/)
  assert.match(await page.textContent('#relay-text'), /Not one word/)
  assert.match(await page.textContent('#request'), /PlayMediaIntent/)
  assert.doesNotMatch(await page.textContent('#request'), /mca_/, 'the key to the account is not shown')
  assert.match(await page.textContent('#response'), /outputSpeech/)
  const card = page.locator('#players .card').first()
  await card.locator('.state', { hasText: 'Playing' }).waitFor()
  assert.match(await card.textContent(), /Kind of Blue|Miles Davis/)
})

for (const [locale, open, stop, goodbye] of [
  ['en-US', 'open', 'stop', 'Goodbye.'], ['de-DE', 'öffne', 'stopp', 'Bis bald.'], ['fr-FR', 'ouvre', 'arrête', 'À bientôt.'],
  ['es-ES', 'abre', 'para', 'Hasta luego.'], ['it-IT', 'apri', 'basta', 'A presto.'], ['nl-NL', 'open', 'stop', 'Tot ziens.'],
]) {
  await statement(`“${stop}” ends the conversation in ${locale}, in the middle of a question`, async () => {
    assert.match((await say(`${open} Music Assistant`, { locale })).speech, /\?/)
    assert.equal((await say(stop, { locale })).speech, goodbye)
  })
}

await statement('the buttons of a player do what they say', async () => {
  await page.selectOption('#locale', 'en-US')
  const card = page.locator('#players .card').first()
  await card.getByRole('button', { name: 'Pause, Kitchen' }).click()
  await card.locator('.state', { hasText: /Paused|Idle/ }).waitFor()
  await card.getByRole('button', { name: 'Louder, Kitchen' }).click()
  await page.waitForSelector('#answer .bubble:not(.waiting)')
})

for (const locale of ['de-DE', 'fr-FR', 'es-ES', 'it-IT', 'nl-NL']) {
  await statement(`the buttons of a player speak ${locale} where that is chosen`, async () => {
    await page.selectOption('#locale', locale)
    const card = page.locator('#players .card').first()
    for (const name of ['Quieter', 'Louder', 'Next track', 'Previous track']) {
      const [answer] = await Promise.all([
        page.waitForResponse('**/simulator/api/say'), card.getByRole('button', { name: `${name}, Kitchen` }).click(),
      ])
      assert.equal(answer.status(), 200, `${name}: ${await answer.text()}`)
      await page.waitForSelector('#answer .bubble:not(.waiting)')
    }
  })
}

await statement('another Echo has a conversation and a player of its own', async () => {
  assert.match((await say('use the bedroom here', { device: 'bedroom' })).speech, /Bedroom/)
  assert.match((await say('volume 20', { device: 'bedroom' })).speech, /Bedroom is 20/)
  assert.match((await say('open Music Assistant', { device: 'office' })).speech, /\?/)
  assert.equal((await say('no', { device: 'bedroom' })).speech, 'Goodbye.')
})

await statement('who has not linked an account is told so', async () => {
  assert.match((await say('what’s playing', { account: 'nobody' })).speech, /link/i)
  assert.match(await page.textContent('#response'), /LinkAccount/)
})

await statement('what means nothing is said to mean nothing, with words that would', async () => {
  const { speech, status } = await say('make me a sandwich')
  assert.equal(status, 422)
  assert.match(speech, /Try/)
  assert.match((await say('mach mir ein Brot', { locale: 'de-DE' })).speech, /Versuche/)
})

await statement('nothing serious stands in anybody’s way, on a phone neither, and the page complains of nothing', async () => {
  await say('play Post in the bedroom')
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 })
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    assert.ok(wide <= 0, `${width} px: ${wide} px too wide`)
  }
  // Past the page's own rule for scripts, which holds for the page.
  await page.evaluate(AXE)
  const found = await page.evaluate(() => globalThis.axe.run())
  const serious = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [])
  assert.deepEqual(complaints.filter((text) => !/422/.test(text)), [])
})

await browser.close()
demo.kill()
verdict()
