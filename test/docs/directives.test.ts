// The directive reference is what the declarations say today.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { registry } from '../../src/cli/configuration.ts'
import * as contexts from '../../src/config/directive.ts'
import { Template } from '../../src/config/template.ts'
import { flag, number, offset, oneOf, path, time } from '../../src/config/values.ts'
import { ask, formOf } from '../../scripts/directive-form.ts'
import { aboutOf, directivePages, pages, syntaxOf } from '../../scripts/directive-pages.ts'
import { families, prose, proseOf, variableWords, wordsOf } from '../../scripts/directive-prose/index.ts'
import { inFamily } from '../../scripts/directive-prose/prose.ts'
import { topics } from '../../scripts/directive-prose/topics.ts'
import { root } from './blocks.ts'
import { samplesOf, type Words } from './syntax-samples.ts'

const folder = join(root, 'docs', 'directives')

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

const all = pages.flatMap(page =>
  Object.entries(page.directives).map(([name, directive]) => ({ page: page.name, name, directive })),
)

test('directives: each that does something has a sentence', () => {
  const mute = all.filter(({ page, name, directive }) => directive.idle !== true && !proseOf(page, name).text)
  assert.deepEqual(named(mute), [], 'say in scripts/directive-prose what they do')
})

test('directives: what is said of one are whole sentences', () => {
  const torn = all.filter(({ page, name }) => !/^(?:[A-Z`‘“].*[.])?$/s.test(proseOf(page, name).text ?? ''))
  assert.deepEqual(named(torn), [])
})

test('directives: what may be written is named', () => {
  const nameless = all.filter(({ page, name, directive }) =>
    syntaxOf(page, name, directive).some(one => /TEXT \[?TEXT|PREFIX|Infinity/.test(one)),
  )
  assert.deepEqual(named(nameless), [], 'say in scripts/directive-prose what stands behind them')
})

test('directives: nobody but a sentence says that an argument is any text', () => {
  const guessed = all.filter(
    ({ page, name, directive }) => proseOf(page, name).args === undefined && /TEXT/.test(formOf(name, directive).args),
  )
  assert.deepEqual(named(guessed), [], 'say in scripts/directive-prose what stands behind them')
})

test('directives: no default is a number of the program alone', () => {
  const texts = [...directivePages().values()]
  assert.deepEqual(
    texts.filter(text => /Infinity|NaN|\[object|undefined/.test(text)),
    [],
  )
})

const words: Words = {
  ADDRESS: '192.0.2.1',
  BITS: '022',
  BROWSER: 'msie',
  CHARACTER: 'a',
  CODE: '404',
  COUNT: '3',
  FLAG: 'secure',
  GROUP: 'root',
  HOST: 'localhost',
  IDLE: '1m',
  INTERVAL: '10s',
  KEY: 'rsa',
  LEVEL: '2',
  LEVELS: '1:2',
  MASK: '01',
  METHOD: 'GET',
  NAME: 'localhost',
  NETWORK: '192.0.2.0/24',
  NUMBER: '2',
  PARAMETERS: 'server=192.0.2.1',
  PATH: '/x',
  PATTERN: '(a)(b)',
  PORT: '8080',
  RATE: '10r/s',
  RIGHTS: 'rw',
  SIZE: '32k',
  TIME: '1s',
  URI: '/x',
  URL: 'http://localhost/',
  USER: 'root',
  VERSION: '5.5',
  WHO: 'user',
}

/** What parameters come to depends on others, or on other directives. */
const DEPENDENT = ['upstream/server', 'health-check/health_check', 'proxy/proxy_redirect']

test('directives: what a syntax allows is accepted', () => {
  const wrong = all.flatMap(({ page, name, directive }) => {
    if (directive.block !== undefined || DEPENDENT.includes(`${page}/${name}`)) return []
    const samples = syntaxOf(page, name, directive).flatMap(one => samplesOf(one.slice(name.length, -1).trim(), words))
    const [min, max] = directive.args
    return samples.flatMap(sample => {
      const args = sample === '' ? [] : sample.split(' ')
      const answer = ask(name, directive, args)
      const problem =
        args.length < min || args.length > max
          ? 'number of arguments'
          : 'hint' in answer
            ? answer.hint || 'refused'
            : ''
      return problem === '' ? [] : [`${page}: ${name} ${sample}: ${problem}`]
    })
  })
  assert.deepEqual(wrong, [])
})

test('directives: a default that is written is the default', () => {
  const wrong = all.filter(({ page, name, directive }) => {
    const standard = proseOf(page, name).standard
    const value: unknown = directive.default
    // What is made of null, and of nothing, is for the module to say.
    const isPlain = value !== null && !Array.isArray(value) && !(value instanceof Template)
    if (standard === undefined || standard === null || standard.startsWith('=') || !isPlain) return false
    // A mask without any bit.
    if (standard === 'off' && value === 0) return false
    const answer = ask(name, directive, standard === '""' ? [''] : standard.split(' '))
    return !('value' in answer) || !isDeepStrictEqual(answer.value, value)
  })
  assert.deepEqual(named(wrong), [])
})

test('directives: each variable has its words', () => {
  const mute = pages.flatMap(({ name, variables }) =>
    variables.filter(variable => wordsOf(name, variable) === '').map(variable => `${name}: $${variable}`),
  )
  assert.deepEqual(mute, [], 'say in scripts/directive-prose what they are')
})

test('directives: each page belongs to a topic, and none to two', () => {
  const inTopics = topics.flatMap(topic => Object.keys(topic.pages))
  assert.deepEqual(inTopics.toSorted(), pages.map(({ name }) => name).toSorted())
  assert.deepEqual(
    pages.filter(({ name }) => !aboutOf(name).endsWith('.')).map(({ name }) => name),
    [],
  )
})

test('directives: nothing is said of one that does not exist', () => {
  const known = new Set(all.flatMap(({ page, name }) => [name, `${page}/${name}`]))
  assert.deepEqual(
    Object.keys(prose).filter(key => !known.has(key)),
    [],
  )
  const unused = families.flatMap(family =>
    Object.keys(family.texts).filter(
      suffix => !all.some(({ name }) => name.endsWith(`_${suffix}`) && inFamily(family, name)),
    ),
  )
  assert.deepEqual(unused, [])
  const variables = new Set(pages.flatMap(page => page.variables.flatMap(name => [name, `${page.name}/${name}`])))
  assert.deepEqual(
    Object.keys(variableWords).filter(key => !variables.has(key)),
    [],
  )
})

function named(directives: readonly { readonly page: string; readonly name: string }[]): string[] {
  return directives.map(({ page, name }) => `${page}/${name}`)
}

test('directives: the form of an argument is found out from its parser', () => {
  const { MAIN } = contexts
  assert.deepEqual(formOf('a', flag(MAIN, true)), { args: 'on | off', standard: 'on' })
  assert.deepEqual(formOf('a', time(MAIN, 90_000)), { args: 'TIME', standard: '90s' })
  assert.deepEqual(formOf('a', offset(MAIN, 8192)), { args: 'SIZE', standard: '8k' })
  assert.deepEqual(formOf('a', number(MAIN, 7)), { args: 'NUMBER', standard: '7' })
  assert.deepEqual(formOf('a', path(MAIN, null)), { args: 'PATH', standard: null })
  assert.deepEqual(formOf('a', oneOf(MAIN, ['x', 'y'], 'y')), { args: 'x | y', standard: 'y' })
})
