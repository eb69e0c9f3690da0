// A cloud of a judge's own, where the one that all share has not the settings that it needs.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { cloud } from './judge.mjs'

/** A port that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

/** Start one at http://localhost:PORT: a name, because browsers bind passkeys to one. */
export async function startCloud(...flags) {
  const [program] = cloud.admin
  const directory = mkdtempSync(join(tmpdir(), 'macloud-judge-own.'))
  const port = await freePort()
  const issuer = `http://localhost:${port}`
  const child = spawn(program, [
    'serve', '--listen', `127.0.0.1:${port}`, '--admin-listen', '127.0.0.1:0', '--public-url', issuer, '--data-dir', directory, ...flags,
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => line.includes('"listening"') && resolve())
    child.on('exit', (code) => reject(new Error(`ma-cloud ended with ${code}`)))
  })
  const mails = () => readdirSync(join(directory, 'mail')).map((name) => readFileSync(join(directory, 'mail', name), 'utf8'))
  const stop = async () => {
    child.removeAllListeners('exit')
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await gone
    rmSync(directory, { recursive: true })
  }
  return { issuer, mails, stop }
}
