// The connector's own page, in a real browser: a home is set up from nothing by keyboard alone and without scripts, and every page is
// usable by everybody: in both languages, light and dark, on a phone and on a desk.
//
// MACLOUD_SCREENSHOTS names a directory for a picture of every page; without it none are taken.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

import { chromium } from 'playwright-core'

import { cloud, keepSecret, newPerson, statement, verdict } from './judge.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const PICTURES = process.env.MACLOUD_SCREENSHOTS
const PROGRAMS = dirname(cloud.admin[0])
/** Of the home that `ma-cloud home` simulates. */
const [NAME, PASSWORD] = ['admin', 'simulated-home']

const directory = mkdtempSync(join(tmpdir(), 'home-page-'))
const programs = []
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
})
const problems = new Map()
const person = await newPerson('home-page')
const ma = await start('ma-cloud', ['home', '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--timing', 'fast'], 'listening')
keepSecret(ma.token)
const page = await start('ma-connector', ['run', '--page', '127.0.0.1:0', '--state-dir', join(directory, 'state')], 'page')
const HOME = `http://${page.address}`

await statement('a home is set up by keyboard alone, without scripts, in four steps', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 640 }, locale: 'en-US' })
  const tab = await context.newPage()
  const narrow = async (name) => assert.ok(!(await overflows(tab)), `${name} needs sideways scrolling at 320 px`)
  await tab.goto(HOME)
  await narrow('find')
  await dressed('find')
  await type(tab, '#url', `http://${ma.address}`)
  await enter(tab)
  await narrow('sign in')
  await dressed('sign-in')
  await type(tab, '#username', NAME)
  await type(tab, '#password', 'a wrong password')
  await enter(tab)
  assert.ok(await tab.textContent('[role=alert]'))
  await narrow('sign in again')
  await type(tab, '#password', PASSWORD)
  await enter(tab)
  await narrow('connect')
  await dressed('connect')
  await type(tab, '#cloud', cloud.issuer)
  await type(tab, '#name', 'Ferienhaus an der See')
  await enter(tab)
  await tab.waitForSelector('.fingerprint', { timeout: 20_000 })
  await narrow('code')
  await dressed('code')
  const shown = await tab.textContent('.fingerprint')
  const link = new URL(await tab.getAttribute('a[target=_blank]', 'href'))
  keepSecret(link.searchParams.get('user_code'))
  const asked = await person.browser.signedIn(link)
  assert.ok(asked.html.includes(shown.trim()), 'the fingerprints are not the same')
  await person.browser.submit(asked, '/pair', { decision: 'allow', name: 'Ferienhaus an der See' })
  // The page goes on by itself, without scripts.
  await tab.waitForSelector('.note.good', { timeout: 40_000 })
  assert.ok((await tab.textContent('main')).includes('Kitchen'))
  await narrow('done')
  await dressed('done')
  await context.close()
})

await statement('rules are changed by keyboard alone, without scripts', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 640 }, locale: 'en-US' })
  const tab = await context.newPage()
  await tab.goto(HOME)
  await reach(tab, 'summary:has-text("Kitchen")')
  await tab.keyboard.press('Enter')
  await type(tab, 'li:has(summary:has-text("Kitchen")) input[name=alias]', 'Cooking place')
  await enter(tab)
  assert.ok((await tab.textContent('#players + p + ul, section[aria-labelledby=players]')).includes('Cooking place'))
  await press(tab, 'form[action$="/stop"] button')
  assert.ok((await tab.textContent('main')).includes('Carry out commands again'))
  await press(tab, 'form[action$="/stop"] button')
  await press(tab, 'form[action$="/tell"] button')
  assert.ok(!(await overflows(tab)), 'the status page needs sideways scrolling at 320 px')
  await context.close()
})

for (const path of ['/', '/music-assistant', '/sign-in', '/pair', '/done', '/doctor', '/nothing-here']) {
  await statement(`${path} is usable by everybody`, () => dressed(path.slice(1) || 'status', path))
}

await statement('the report of doctor comes by itself, and can be copied', async () => {
  const context = await browser.newContext({ locale: 'en-US', viewport: { width: 390, height: 844 } })
  const tab = await context.newPage()
  await tab.goto(`${HOME}/doctor`)
  await press(tab, 'form[action$="/doctor"] button')
  await tab.waitForSelector('#report', { timeout: 60_000 })
  assert.ok((await tab.inputValue('#report')).includes('ok  '))
  await tab.click('[data-copy]')
  assert.ok(await tab.evaluate(() => document.getSelection().toString().includes('ok  ')))
  await lookAt(tab, 'doctor-report', 'en')
  await context.close()
})

await statement('a page that is looked at stays fresh, and loses nothing that is being typed', async () => {
  const context = await browser.newContext({ locale: 'en-US' })
  const tab = await context.newPage()
  await tab.goto(HOME)
  await tab.fill('#from', '22:00')
  const changed = await fetch(`${ma.control_url}/players`).catch(() => undefined)
  assert.ok(changed, 'the simulated home has a control API')
  await tab.waitForResponse((answer) => answer.url() === `${HOME}/`, { timeout: 20_000 })
  assert.equal(await tab.inputValue('#from'), '22:00')
  await context.close()
})

for (const program of programs) program.kill()
await browser.close()
rmSync(directory, { recursive: true })
verdict()

/** Start a program; what it says in the line with this event. */
function start(name, args, event) {
  const child = spawn(join(PROGRAMS, name), args, { stdio: ['ignore', 'pipe', 'inherit'] })
  programs.push(child)
  return new Promise((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`${name} ended with ${code}`)))
    createInterface(child.stdout).on('line', (line) => {
      const said = JSON.parse(line)
      if (said.event === event) resolve(said)
    })
  })
}

/** Look at a page in every dress: the present step of the first run, or what is at `path`. */
async function dressed(name, path = '/') {
  for (const [locale, colorScheme] of [['en-US', 'light'], ['en-US', 'dark'], ['de-DE', 'light']]) {
    const context = await browser.newContext({ locale, colorScheme, viewport: { width: 390, height: 844 } })
    const tab = await context.newPage()
    await tab.goto(HOME + path)
    for (const details of await tab.$$('details')) await details.evaluate((one) => (one.open = true))
    await lookAt(tab, `${locale.slice(0, 2)}-${colorScheme}-${name}`, locale.slice(0, 2))
    await context.close()
  }
  const found = [...problems.keys()]
  problems.clear()
  assert.deepEqual(found, [])
}

async function lookAt(tab, name, language) {
  const wrong = (text) => problems.set(`${name}: ${text}`, true)
  assert.equal(await tab.getAttribute('html', 'lang'), language)
  await tab.evaluate(AXE)
  const found = await tab.evaluate(() =>
    globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }))
  for (const violation of found.violations.filter(({ impact }) => impact !== 'minor')) {
    const { any, target } = violation.nodes[0]
    wrong(`axe ${violation.id} at ${target}: ${any[0]?.message ?? violation.help}`)
  }
  await seesFocus(tab, wrong)
  for (const [width, scale] of [[320, 1], [390, 1], [640, 2], [1280, 1]]) {
    await tab.setViewportSize({ width, height: 844 })
    await tab.evaluate((scale) => (document.documentElement.style.fontSize = `${scale * 100}%`), scale)
    if (await overflows(tab)) wrong(`needs sideways scrolling at ${width} px with text at ${scale * 100} %`)
    if (scale === 1) await picture(tab, `${name}-${width}`)
  }
}

function overflows(tab) {
  return tab.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
}

/** Everything that the keyboard reaches shows it. */
async function seesFocus(tab, wrong) {
  await tab.evaluate(() => document.activeElement?.blur())
  for (let stop = 0; stop < 80; stop += 1) {
    await tab.keyboard.press('Tab')
    const focus = await tab.evaluate(() => {
      const one = document.activeElement
      if (!one || one === document.body) return undefined
      const { outlineStyle, outlineWidth } = getComputedStyle(one)
      const box = one.getBoundingClientRect()
      const name = `${one.tagName.toLowerCase()} ${one.textContent.trim().slice(0, 30)}`
      return { name, seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && box.width > 0 && box.bottom > 0 }
    })
    if (!focus) return
    if (!focus.seen) wrong(`the focus cannot be seen at ${focus.name}`)
  }
}

async function picture(tab, name) {
  if (!PICTURES) return
  mkdirSync(PICTURES, { recursive: true })
  await tab.screenshot({ path: join(PICTURES, `home-page-${name}.png`), fullPage: true })
}

// --- a person at the keyboard --------------------------------------------------------------------------------------------

async function reach(tab, selector) {
  for (let stop = 0; stop < 80; stop += 1) {
    if (await tab.$eval(selector, (one) => one === document.activeElement).catch(() => false)) return
    await tab.keyboard.press('Tab')
  }
  assert.fail(`${selector} cannot be reached with the Tab key on ${tab.url()}`)
}

async function type(tab, selector, text) {
  await tab.waitForSelector(selector)
  await reach(tab, selector)
  await tab.keyboard.type(text)
}

async function press(tab, selector) {
  await tab.waitForSelector(selector)
  await reach(tab, selector)
  await enter(tab)
}

/** What the Enter key leads to. */
async function enter(tab) {
  await Promise.all([tab.waitForNavigation(), tab.keyboard.press('Enter')])
}
