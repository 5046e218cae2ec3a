// Keeps what a reader of docs/architecture.md relies on: the direction of imports and a few habits. The rules and their
// exceptions are in helpers/tidy.ts; here each is tried on bad input and then on everything there is.

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import * as tidy from './helpers/tidy.ts'
import type { SourceFile } from './helpers/tidy.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const files = read('{src,test,scripts,bench,examples}/**/*.ts')
const sources = files.filter(file => file.path.startsWith('src/'))
const python = read('{python,examples}/**/*.py')

function read(pattern: string): SourceFile[] {
  return globSync(pattern, { cwd: root })
    .sort()
    .map(path => ({ path, text: readFileSync(root + path, 'utf8') }))
}

function check(complaints: readonly string[]): void {
  assert.equal(complaints.length, 0, `\n  ${complaints.join('\n  ')}`)
}

/** What the rule says to one file. */
function direction(path: string, ...imports: string[]): string {
  return tidy.importDirection({ path, text: imports.map(name => `import { a } from '${name}'\n`).join('') }).join('\n')
}

test('imports of every form are seen', () => {
  const text = `import a from './a.ts'
import type { B } from './b.ts'
import {
  c,
} from './c.ts'
export * from './d.ts'
import './e.ts'
const f = await import('./f.ts')
`
  assert.deepEqual(tidy.importsOf(text).sort(), ['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts'])
})

test('an import upward is told with what the folder may use', () => {
  assert.match(direction('src/codec/h1/a.ts', '../../net/b.ts'), /src\/codec may use lib, not net: move the code down/)
  assert.match(direction('src/lib/a.ts', '../log/b.ts'), /src\/lib may use nothing of ours, not log/)
  assert.match(direction('src/http/a.ts', '../process/b.ts'), /not process/)
  assert.match(direction('src/app/dispatch/a.ts', '../pool/b.ts'), /not app\/pool/)
  assert.match(direction('src/http/a.ts', '../app/pool/b.ts'), /not app\/pool/)
  assert.match(direction('src/lib/a.ts', '../../test/helpers/b.ts'), /only files below src/)
  assert.match(direction('src/unheard/a.ts'), /src\/unheard is not in the import table/)
})

test('imports that the table allows are not complained of', () => {
  const allowed = direction('src/upstream/a.ts', './b.ts', '../net/c.ts', '../zone/d.ts', 'node:net')
  const cli = direction('src/cli/main.ts', '../http/modules/index.ts', '../app/pool/a.ts')
  const pool = direction('src/app/pool/a.ts', '../app.ts', '../../process/b.ts')
  assert.equal(allowed + cli + pool, '')
})

test('cli is imported by nobody, and the list of modules by cli alone', () => {
  assert.match(direction('src/http/a.ts', '../cli/main.ts'), /nobody imports src\/cli/)
  assert.match(direction('src/http/a.ts', './modules/index.ts'), /only src\/cli knows the list of modules/)
  assert.match(direction('src/http/modules/gzip.ts', './index.ts'), /only src\/cli/)
  assert.equal(direction('src/http/modules/index.ts', './gzip.ts', '../module.ts'), '')
})

test('a module does not import another, but its own folder', () => {
  assert.match(direction('src/http/modules/gzip.ts', './static.ts'), /move what "gzip" and "static" share to src\/http/)
  assert.match(direction('src/http/modules/proxy/a.ts', '../gzip.ts'), /modules do not know each other/)
  assert.match(direction('src/http/a.ts', './modules/gzip.ts'), /not http\/modules/)
  assert.equal(direction('src/http/modules/proxy/a.ts', './b.ts', '../../request.ts'), '')
})

test('within src/http, code is imported from earlier layers, and types from anywhere', () => {
  const said = (path: string, text: string): string => tidy.httpLayers({ path, text }).join()
  assert.match(said('src/http/output.ts', "import { a } from './files/b.ts'"), /files\/b\.ts, of a later layer/)
  assert.match(said('src/http/session/a.ts', "import {\n  a,\n} from '../upstream/b.ts'"), /of a later layer/)
  assert.match(said('src/http/unheard/a.ts', ''), /not in HTTP_LAYERS/)
  assert.equal(
    said('src/http/output.ts', "import type { A } from './files/b.ts'\nimport { c } from './request.ts'"),
    '',
  )
  assert.equal(
    said('src/http/upstream/a.ts', "import { a } from '../cache/b.ts'\nimport { c } from '../files/d.ts'"),
    '',
  )
})

test('a module that the list does not name is told', () => {
  const file = (path: string, text = ''): SourceFile => ({ path: `src/http/modules/${path}`, text })
  const index = file('index.ts', "import { gzip } from './gzip.ts'\nimport { proxy } from './proxy/proxy.ts'\n")
  assert.deepEqual(tidy.listedModules([index, file('gzip.ts'), file('proxy/proxy.ts'), file('proxy/pass.ts')]), [])
  assert.match(tidy.listedModules([index, file('static.ts')])[0]!, /does not import the module "static"/)
})

test('enum, namespace and parameter property are told', () => {
  const said = (text: string): string => tidy.erasable({ path: 'a.ts', text }).join()
  assert.match(said('export const enum A { B }'), /enum: write constants/)
  assert.match(said('namespace A {\n}'), /namespace/)
  assert.match(
    said(['class A { constructor', '(a: number, private readonly b: string) {} }'].join('')),
    /parameter property/,
  )
  assert.equal(said('// enum A\nclass A { constructor(a: readonly string[], b: Map<string, readonly A[]>) {} }'), '')
})

test('marks of unfinished work are told with their line', () => {
  assert.match(
    tidy.unfinished({ path: 'a.ts', text: `ok\n// ${'todo'.toUpperCase()}: later` })[0]!,
    /^a\.ts:2 marks something unfinished/,
  )
  assert.deepEqual(tidy.unfinished({ path: 'a.ts', text: "mkdtemp('a-XXXXXX')" }), [])
})

test('node:http is refused in src and free elsewhere', () => {
  const text = "import http from 'node:http'\n"
  assert.match(tidy.ownCodec({ path: 'src/http/a.ts', text })[0]!, /traffic goes through src\/codec/)
  assert.deepEqual(tidy.ownCodec({ path: 'test/a.test.ts', text }), [])
})

test('a file without a head comment, and one too long, are told', () => {
  assert.match(tidy.headComment({ path: 'a.ts', text: 'import a' })[0]!, /say what the file is for/)
  assert.match(tidy.headComment({ path: 'a.py', text: 'import a' })[0]!, /say what the file is for/)
  assert.deepEqual(tidy.headComment({ path: 'a.ts', text: '#!/usr/bin/env node\n// For a.' }), [])
  assert.match(tidy.length({ path: 'a.ts', text: 'x\n'.repeat(501) })[0]!, /501 lines.*LONG_FILES/)
})

test('src: imports go the way of the table', () => check(sources.flatMap(tidy.importDirection)))
test('src/http: imports go the way of its layers', () => check(sources.flatMap(tidy.httpLayers)))
test('src: every module is in the list of modules', () => check(tidy.listedModules(sources)))
test('src: node:http is not on the path of traffic', () => check(sources.flatMap(tidy.ownCodec)))
test('all files: types can be stripped', () => check(files.flatMap(tidy.erasable)))
test('all files: nothing is marked as unfinished', () => check([...files, ...python].flatMap(tidy.unfinished)))
test('all files: none is too long', () => check([...files, ...python].flatMap(tidy.length)))
test('all files: each says at its head what it is for', () => check([...files, ...python].flatMap(tidy.headComment)))
test('the lists of exceptions name only files that exist', () => check(tidy.staleExceptions(files)))
