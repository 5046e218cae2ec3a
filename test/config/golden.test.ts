// Every test/conf/*.conf: a configuration, a line `---`, and what it must come to: the scopes with all values that are not
// defaults, or the errors and their hints. Further files follow as `--- file NAME` before the expectation. The
// files are latin1. UPDATE_GOLDEN=1 writes the expectations anew.

import assert from 'node:assert/strict'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ConfigErrors } from '../../src/config/errors.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { print } from '../../src/config/print.ts'
import { contextNames } from '../../src/config/registry.ts'
import { readConfig } from '../../src/config/read.ts'
import { BundleSource } from '../../src/config/source.ts'
import { Template } from '../../src/config/template.ts'
import { core, peers, proxy, registry } from './modules.ts'
import type { ConfigError } from '../../src/config/errors.ts'
import type { Directives, Scope } from '../../src/config/directive.ts'

const folder = join(import.meta.dirname, '../conf')

for (const name of readdirSync(folder).filter(name => name.endsWith('.conf'))) {
  void test(`golden: ${name}`, () => {
    const path = join(folder, name)
    const { files, expected } = split(readFileSync(path, 'latin1'))
    const actual = outcome(files)
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, unite(files, actual), 'latin1')
    else assert.equal(actual, expected)
  })
}

type Files = [name: string, text: string][]

function split(text: string): { files: Files; expected: string } {
  const [main, ...rest] = text.split(/^--- ?(.*)\n/m)
  const files: Files = [['nginx.conf', main!]]
  let expected = ''
  for (let i = 0; i < rest.length; i += 2) {
    if (rest[i]!.startsWith('file ')) files.push([rest[i]!.slice(5), rest[i + 1]!])
    else expected = rest[i + 1]!
  }
  return { files, expected }
}

function unite([main, ...others]: Files, expected: string): string {
  return `${main![1]}${others.map(([name, text]) => `--- file ${name}\n${text}`).join('')}---\n${expected}`
}

function outcome(files: Files): string {
  const names = files.map(([name]) => name)
  const included = names.filter(name => name.startsWith('inc/')).sort()
  const parsed = parseConfig(
    new BundleSource({
      files: files.map(([name, text]) => [`/etc/${name}`, text]),
      globs: [['/etc/inc/*.conf', included.map(name => `/etc/${name}`)]],
    }),
    '/etc/nginx.conf',
  )
  const said: string[] = []
  try {
    const warn = (warning: ConfigError) => said.push(`warn: ${warning.toString()}`)
    const scope = readConfig(parsed, registry, { prefix: '/prefix/', warn })
    said.push(showScope(scope, ''))
    assertPrintsBack(parsed.statements)
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw error
    for (const each of error.errors) {
      said.push(each.toString())
      if (each.hint !== null) said.push(`  (${each.hint})`)
    }
  }
  return said.map(line => `${line.trimEnd()}\n`).join('')
}

function assertPrintsBack(statements: Parameters<typeof print>[0]): void {
  const text = print(statements)
  const again = parseConfig(new BundleSource({ files: [['/x', text]], globs: [] }), '/x')
  assert.equal(print(again.statements), text)
}

function showScope(scope: Scope, indent: string): string {
  const title = [contextNames(scope.context)[0]!, ...scope.args].join(' ')
  const values = [core, proxy, peers].flatMap(directives => showValues(scope, directives, `${indent}  `))
  const inner = scope.children.map(child => showScope(child, `${indent}  `))
  return `${indent}${title}\n${values.join('')}${inner.join('')}`
}

function showValues(scope: Scope, directives: Directives, indent: string): string[] {
  return Object.entries(scope.conf(directives)).flatMap(([name, value]) =>
    value === directives[name]!.default ? [] : [`${indent}${name} = ${show(value)}\n`],
  )
}

function show(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (inner instanceof Template ? inner.parts : inner))
}
