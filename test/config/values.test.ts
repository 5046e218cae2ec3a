import assert from 'node:assert/strict'
import test from 'node:test'
import { HTTP, LOCATION, MAIN, SERVER } from '../../src/config/directive.ts'
import { ConfigErrors } from '../../src/config/errors.ts'
import { parseText } from '../../src/config/parse.ts'
import { Registry } from '../../src/config/registry.ts'
import { readConfig } from '../../src/config/read.ts'
import { BundleSource } from '../../src/config/source.ts'
import { parseOffset, parseSeconds, parseSize, parseTime } from '../../src/config/units.ts'
import * as values from '../../src/config/values.ts'
import type { Directive } from '../../src/config/directive.ts'

const noFiles = new BundleSource({ files: [], globs: [] })

/** The value of a directive `x` after the text, or the first error. */
function valueOf<T>(directive: Directive<T>, text: string, warn: (warning: unknown) => void = () => {}): unknown {
  const x = { x: directive }
  try {
    return readConfig(parseText(text, '/etc/c', noFiles), new Registry([x]), { prefix: '/p/', warn }).conf(x).x
  } catch (error) {
    if (error instanceof ConfigErrors) return error.errors[0]!.message
    throw error
  }
}

void test('sizes have kilobytes and megabytes, offsets gigabytes too', () => {
  assert.deepEqual(['0', '7', '4k', '4K', '2m', '2M'].map(parseSize), [0, 7, 4096, 4096, 2097152, 2097152])
  assert.deepEqual(['', 'k', '-1', '1g', '1.5k', '1kk', ' 1', '0x1'].map(parseSize), Array(8).fill(null))
  assert.equal(parseOffset('3g'), 3221225472)
  assert.equal(parseOffset('9223372036854775807'), Number.MAX_SAFE_INTEGER)
  assert.equal(parseOffset('9223372036854775808'), null)
})

void test('times add up in falling units, and are seconds without one', () => {
  assert.deepEqual(
    ['0', '5', '5s', '50ms', '1m', '1h30m', '1h 30m 10', '1w2d', '1 1', '1m ', 's1'].map(parseTime),
    [0, 5000, 5000, 50, 60_000, 5_400_000, 5_410_000, 777_600_000, 2000, 60_000, 1000],
  )
  assert.deepEqual(
    ['', 's', ' ', '1M', '1y', '1m1h', '1s1s', '1x', '-1', '1 s', '1.5s'].map(parseTime),
    Array(11).fill(null),
  )
  assert.deepEqual(['1y', '1M', '1y6M', '5', '1m 1'].map(parseSeconds), [31_536_000, 2_592_000, 47_088_000, 5, 61])
  assert.deepEqual(['5ms', '1M1y', '99999999999999999999'].map(parseSeconds), [null, null, null])
})

void test('every builder reads its form and refuses others in the words of nginx', () => {
  const flag = values.flag(MAIN, null)
  assert.deepEqual(
    ['', 'x on;', 'x OFF;'].map(text => valueOf(flag, text)),
    [null, true, false],
  )
  assert.equal(valueOf(flag, 'x 1;'), 'invalid value "1" in "x" directive, it must be "on" or "off"')
  assert.equal(valueOf(flag, 'x on off;'), 'invalid number of arguments in "x" directive')
  assert.equal(valueOf(flag, 'x on; x on;'), '"x" directive is duplicate')
  assert.equal(valueOf(values.size(MAIN, 1), 'x 1g;'), '"x" directive invalid value')
  assert.equal(valueOf(values.offset(MAIN, 1), 'x 1g;'), 1073741824)
  assert.equal(valueOf(values.time(MAIN, 1), 'x 1500ms;'), 1500)
  assert.equal(valueOf(values.seconds(MAIN, 1), 'x 1500ms;'), '"x" directive invalid value')
  assert.equal(valueOf(values.number(MAIN, 1), 'x -1;'), '"x" directive invalid number')
  assert.equal(valueOf(values.number(MAIN, 1, 1, 9), 'x 10;'), 'value must be between 1 and 9')
  assert.equal(valueOf(values.number(MAIN, 1, 2), 'x 1;'), 'value must be equal to or greater than 2')
  assert.equal(valueOf(values.str(MAIN, null), 'x "";'), '')
  assert.equal(valueOf(values.path(MAIN, null), 'x a/b;'), '/p/a/b')
  assert.equal(valueOf(values.path(MAIN, null, 'configuration'), 'x a/b;'), '/etc/a/b')
  assert.equal(valueOf(values.oneOf(MAIN, ['a', 'B'], 'a'), 'x b;'), 'B')
  assert.equal(valueOf(values.choice(MAIN, { off: 0, always: 2 }, null), 'x ALWAYS;'), 2)
  assert.equal(valueOf(values.choice(MAIN, { off: 0 }, null), 'x constructor;'), 'invalid value "constructor"')
  assert.deepEqual(valueOf(values.words(MAIN, [1, 3], null), 'x a b;'), ['a', 'b'])
  assert.deepEqual(
    valueOf(
      values.list(MAIN, [1, 1], ([word]) => word),
      'x a; x b;',
    ),
    ['a', 'b'],
  )
  assert.deepEqual(valueOf(values.buffers(MAIN, null), 'x 4 8k;'), { number: 4, size: 8192 })
  assert.equal(valueOf(values.buffers(MAIN, null), 'x 0 8k;'), '"x" directive invalid value')
  assert.equal(valueOf(values.accepted(flag), 'x on;'), true)
  assert.equal(valueOf(values.template(MAIN, null), 'x "a$";'), 'invalid variable name')
  assert.equal(valueOf(values.section(MAIN, HTTP), 'x {}'), true)
})

void test('a bitmask collects words over all occurrences and warns of repeated ones', () => {
  const warnings: string[] = []
  const bits = values.bitmask(MAIN, { a: 1, b: 2, c: 4 }, 7)
  assert.equal(valueOf(bits, ''), 7)
  assert.equal(
    valueOf(bits, 'x a; x C a;', warning => warnings.push(String(warning))),
    5,
  )
  assert.deepEqual(warnings, ['duplicate value "a" in /etc/c:1'])
})

const outer = {
  http: values.section(MAIN, HTTP),
  server: values.block(HTTP, [0, 0], SERVER, () => null),
  location: values.block(SERVER, [1, 1], LOCATION, (_args, at) => at.inner),
}
const inner = {
  name: values.str(HTTP | SERVER | LOCATION, 'none'),
  many: values.list(HTTP | LOCATION, [1, 1], ([w]) => w),
}
const read = (text: string) =>
  readConfig(parseText(text, '/etc/c', noFiles), new Registry([outer, inner]), { prefix: '/p/' })

void test('a scope that sets nothing shares the frozen values around it', () => {
  const root = read('http { name a; server { location / {} location /b { many x; } } }')
  const [server] = root.children[0]!.children
  const [plain, other] = server!.children
  assert.deepEqual(plain!.conf(inner), { name: 'a', many: [] })
  assert.equal(plain!.conf(inner), root.children[0]!.conf(inner))
  assert.deepEqual(other!.conf(inner), { name: 'a', many: ['x'] })
  assert.equal(other!.conf(inner), other!.conf(inner))
  assert.ok(Object.isFrozen(other!.conf(inner)) && Object.isFrozen(other!.conf(inner).many))
  assert.deepEqual(root.conf(inner), { name: 'none', many: [] })
  assert.deepEqual(other!.args, ['/b'])
  assert.ok(other!.has('many') && !other!.has('name'))
  assert.equal(root.children[0]!.site('name')!.line, 1)
})

void test('values asked for while the file is still being read are not kept', () => {
  const seen: string[] = []
  const peek = { ...values.words(HTTP, [0, 0], null), repeatable: true }
  const registry = new Registry([
    outer,
    inner,
    { peek: { ...peek, parse: (args, at) => (seen.push(at.scope.conf(inner).name), args) } as typeof peek },
  ])
  readConfig(parseText('http { peek; name a; peek; }', '/etc/c', noFiles), registry, { prefix: '/p/' })
  assert.deepEqual(seen, ['none', 'a'])
})

void test('one name cannot be declared twice for one context', () => {
  assert.throws(
    () => new Registry([{ x: values.flag(HTTP | SERVER, true) }, { x: values.flag(SERVER, true) }]),
    /"x" is declared twice for server/,
  )
  assert.doesNotThrow(() => new Registry([inner, inner]))
})
