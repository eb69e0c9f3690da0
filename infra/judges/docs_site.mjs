// The documents as a site (infra/docs-site), in a real browser: every page light on a phone and dark on a desk. axe-core finds
// nothing, nothing needs sideways scrolling, and all of it but the search works without scripts.
//
// MACLOUD_SCREENSHOTS names a directory for a picture of every page; without it none are taken.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { chromium } from 'playwright-core'

import { cloud, statement, verdict } from './judge.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const PICTURES = process.env.MACLOUD_SCREENSHOTS
const SIZES = { phone: { width: 320, height: 640 }, desk: { width: 1280, height: 900 } }

const site = mkdtempSync(join(tmpdir(), 'macloud-docs-site.'))
execFileSync(cloud.python, [join(cloud.root, 'infra', 'docs-site'), '--out', site])
const pages = readdirSync(site).filter((name) => name.endsWith('.html'))
const address = (name) => `file://${join(site, name)}`
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})

for (const [size, colorScheme] of [['phone', 'light'], ['desk', 'dark']]) {
  await statement(`all pages ${colorScheme} on a ${size}: axe-core finds nothing, and nothing scrolls sideways`, async () => {
    const context = await browser.newContext({ viewport: SIZES[size], colorScheme })
    const page = await context.newPage()
    const problems = []
    for (const name of pages) {
      await page.goto(address(name))
      await page.evaluate(AXE)
      const { violations } = await page.evaluate(() => axe.run())
      problems.push(...violations.map(({ id, nodes }) => `${name}: ${id}: ${nodes[0].html.slice(0, 120)}`))
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
      if (wide) problems.push(`${name} needs sideways scrolling`)
      if (PICTURES) {
        mkdirSync(PICTURES, { recursive: true })
        await page.screenshot({ path: join(PICTURES, `${name}-${size}-${colorScheme}.png`) })
      }
    }
    await context.close()
    assert.deepEqual(problems, [])
  })
}

await statement('without scripts every page leads to every other, and offers no search', async () => {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: SIZES.phone })
  const page = await context.newPage()
  await page.goto(address('index.html'))
  assert.equal(await page.locator('#asked').isVisible(), false)
  await page.locator('.menu summary').click()
  const named = await page.locator('.menu a').evaluateAll((links) => links.map((link) => link.getAttribute('href')))
  assert.deepEqual([...named].sort(), [...pages].sort())
  await page.locator('.menu a[href="protocol.html"]').click()
  assert.equal(await page.locator('h1').textContent(), 'Protocol')
  await context.close()
})

await statement('the search finds a heading first, by keyboard alone', async () => {
  const context = await browser.newContext({ viewport: SIZES.desk })
  const page = await context.newPage()
  await page.goto(address('index.html'))
  await page.keyboard.press('/')
  await page.keyboard.type('backup restore')
  assert.match(await page.locator('#found a').first().textContent(), /Backup and restore/)
  await page.keyboard.press('Enter')
  await page.waitForURL(/#backup-and-restore$/)
  await page.keyboard.press('/')
  await page.keyboard.type('no such word anywhere, surely')
  assert.equal(await page.locator('#found').textContent(), 'Nothing found')
  await context.close()
})

await browser.close()
rmSync(site, { recursive: true })
verdict()
