// `npm run docs`: writes docs/directives anew from the declarations. A test fails when they are out of date.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { directivePages } from './directive-pages.ts'

const folder = join(import.meta.dirname, '..', 'docs', 'directives')
const files = directivePages()
mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name))
for (const [name, text] of files) writeFileSync(join(folder, name), text)
console.log(`docs/directives: ${files.size} pages`)
