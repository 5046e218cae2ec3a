// The directive reference is what the declarations say today.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { registry } from '../../src/cli/configuration.ts'
import * as contexts from '../../src/config/directive.ts'
import { flag, number, offset, oneOf, path, time } from '../../src/config/values.ts'
import { formOf } from '../../scripts/directive-form.ts'
import { directivePages, pages, proseOf } from '../../scripts/directive-pages.ts'
import { prose } from '../../scripts/directive-prose.ts'
import { root } from './blocks.ts'

const folder = join(root, 'docs', 'directives')
const OWN = ['app', 'app-pass']

test('directives: the pages are those of today, or "npm run docs" makes them so', () => {
  const wanted = directivePages()
  const stale = [...wanted].filter(([name, text]) => {
    const file = join(folder, name)
    return !existsSync(file) || readFileSync(file, 'utf8') !== text
  })
  const surplus = readdirSync(folder).filter(name => !wanted.has(name))
  const names = [...stale.map(([name]) => name), ...surplus]
  assert.deepEqual(names, [], 'docs/directives is out of date: "npm run docs" writes it anew')
})

test('directives: every declaration has its page', () => {
  const shown = new Set(pages.flatMap(page => Object.values(page.directives)))
  const missing = [...registry.entries()].flatMap(([name, all]) =>
    all.every(one => shown.has(one) || one.refused !== undefined) ? [] : [name],
  )
  assert.deepEqual(missing, [], 'add their module to the pages of scripts/directive-pages.ts')
})

test('directives: each of our own has a sentence', () => {
  const mute = pages
    .filter(page => OWN.includes(page.name))
    .flatMap(page => Object.keys(page.directives).filter(name => (proseOf(page.name, name).text ?? '') === ''))
  assert.deepEqual(mute, [], 'say in scripts/directive-prose.ts what they do')
})

test('directives: nothing is said of one that does not exist', () => {
  const known = new Set(
    pages.flatMap(page => Object.keys(page.directives).flatMap(name => [name, `${page.name}/${name}`])),
  )
  assert.deepEqual(
    Object.keys(prose).filter(key => !known.has(key)),
    [],
  )
})

test('directives: the form of an argument is found out from its parser', () => {
  const { MAIN } = contexts
  assert.deepEqual(formOf('a', flag(MAIN, true)), { args: 'on | off', standard: 'on' })
  assert.deepEqual(formOf('a', time(MAIN, 90_000)), { args: 'TIME', standard: '90s' })
  assert.deepEqual(formOf('a', offset(MAIN, 8192)), { args: 'SIZE', standard: '8k' })
  assert.deepEqual(formOf('a', number(MAIN, 7)), { args: 'NUMBER', standard: '7' })
  assert.deepEqual(formOf('a', path(MAIN, null)), { args: 'PATH', standard: null })
  assert.deepEqual(formOf('a', oneOf(MAIN, ['x', 'y'], 'y')), { args: 'x | y', standard: 'y' })
})
