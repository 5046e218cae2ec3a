// The rules that test/tidy.test.ts keeps: who may import whom, and what no file may hold. Each rule takes a file's path and
// text and returns complaints, which tell the reader what to do. It reads lines, not syntax trees: good enough for code that
// a formatter has laid out.

import { dirname, join } from 'node:path/posix'

export interface SourceFile {
  /** From the root of the checkout, with slashes. */
  readonly path: string
  readonly text: string
}

/** What each folder of src may import besides itself. A row's order is the order of the layers. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  log: ['lib'],
  config: ['lib', 'log'],
  codec: ['lib'],
  waf: ['lib'],
  net: ['lib', 'log'],
  process: ['net', 'lib', 'log'],
  zone: ['lib', 'log'],
  cache: ['zone', 'lib', 'log'],
  upstream: ['net', 'codec', 'config', 'zone', 'lib', 'log'],
  // The application server: what its halves share lies at the top; the halves meet nowhere else.
  app: ['lib', 'log', 'config', 'codec'],
  'app/dispatch': ['app', 'process', 'net', 'codec', 'zone', 'lib', 'log', 'config'],
  'app/pool': ['app', 'process', 'net', 'codec', 'zone', 'lib', 'log', 'config'],
  'app/workers': ['app', 'net', 'codec', 'lib', 'log'],
  control: ['app', 'app/pool', 'process', 'codec', 'lib', 'log'],
  http: ['app', 'app/dispatch', 'upstream', 'cache', 'waf', 'zone', 'net', 'codec', 'config', 'log', 'lib'],
  'http/modules': [
    'http',
    'app',
    'app/dispatch',
    'upstream',
    'cache',
    'waf',
    'zone',
    'net',
    'codec',
    'config',
    'log',
    'lib',
  ],
  stream: ['http', 'upstream', 'zone', 'net', 'codec', 'config', 'log', 'lib'],
  mail: ['http', 'upstream', 'zone', 'net', 'codec', 'config', 'log', 'lib'],
  admin: ['http', 'lib', 'log'],
}

/** The layers of src/http: code (types aside) goes to a folder of an earlier row or of the same one. The first is what lies in
 *  src/http itself, the contract; the last composes, and only it knows all. */
export const HTTP_LAYERS: readonly (readonly string[])[] = [
  [''],
  ['core', 'log', 'access', 'ssl', 'acme'],
  ['session', 'h2'],
  ['files'],
  ['filters'],
  ['upstream', 'cache'],
  ['app'],
  ['server'],
  ['modules'],
]

/** Files that may be longer than LINES_MAX, with the reason. */
export const LONG_FILES: Readonly<Record<string, string>> = {}

/** Files of src that may import node:http, with the reason. */
export const NODE_HTTP: Readonly<Record<string, string>> = {
  'src/app/workers/listening.ts': 'a worker serves the Node application by the HTTP server such applications expect',
  'src/app/workers/exported.ts': 'as listening.ts: what a file exports becomes a handler of that server',
  'src/app/workers/plain-handler.ts': 'as exported.ts: what such a handler expects of that server',
  'src/app/workers/client-address.ts': "as listening.ts: tells that server's connections who the client is",
  'src/app/workers/last-answers.ts': "as listening.ts: ends that server's connections when it is closed",
  'src/app/workers/fetch-adapter.ts': "as listening.ts: turns that server's requests into web Requests",
}

export const LINES_MAX = 500

const MODULE_INDEX = 'src/http/modules/index.ts'

/** Specifiers of all imports, type imports, re-exports and dynamic imports. */
export function importsOf(text: string): string[] {
  const forms = [
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
  ]
  return forms.flatMap(form => [...text.matchAll(form)].map(match => match[1]!))
}

/** Imports that go against the table. */
export function importDirection({ path, text }: SourceFile): string[] {
  const from = layerOf(path)
  if (from === 'cli' || from === null) return []
  if (!Object.hasOwn(MAY_IMPORT, from) && path !== MODULE_INDEX) {
    return [`${path}: src/${from} is not in the import table: give it a row in test/helpers/tidy.ts, or move the file`]
  }
  return importsOf(text).flatMap(specifier => {
    if (!specifier.startsWith('.')) return []
    const target = join(dirname(path), specifier)
    const problem = forbidden(path, from, target)
    return problem === null ? [] : [`${path} imports ${target}: ${problem}`]
  })
}

function forbidden(path: string, from: string, target: string): string | null {
  const to = layerOf(target)
  if (to === null) return 'only files below src may be imported from src'
  if (to === 'cli') return 'nobody imports src/cli: move what is needed down to where both may reach it'
  if (path === MODULE_INDEX) return null
  if (target === MODULE_INDEX) return 'only src/cli knows the list of modules: take what is needed as a parameter'
  if (from === to) {
    const [mine, other] = [moduleOf(path), moduleOf(target)]
    return mine === other
      ? null
      : `modules do not know each other: move what "${mine}" and "${other}" share to src/http`
  }
  const allowed = MAY_IMPORT[from]!
  if (allowed.includes(to)) return null
  return `src/${from} may use ${allowed.join(', ') || 'nothing of ours'}, not ${to}: move the code down, or pass it in`
}

/** Imports of code within src/http that go against its layers. */
export function httpLayers({ path, text }: SourceFile): string[] {
  const from = httpLayer(path)
  if (from === null || path === MODULE_INDEX) return []
  if (from < 0) return [`${path}: its folder is not in HTTP_LAYERS: give it a place in test/helpers/tidy.ts`]
  const code = text.replaceAll(/^(?:import|export) type\b[^'"`;]*?\bfrom\s*['"][^'"]+['"]/gm, '')
  return importsOf(code).flatMap(specifier => {
    const target = specifier.startsWith('.') ? join(dirname(path), specifier) : specifier
    const to = httpLayer(target)
    return to !== null && to > from
      ? [`${path} imports ${target}, of a later layer (HTTP_LAYERS): move the code down`]
      : []
  })
}

/** -1: in no layer; null: outside src/http. */
function httpLayer(path: string): number | null {
  const match = /^src\/http\/(?:([^/]+)\/)?/.exec(path)
  return match === null ? null : HTTP_LAYERS.findIndex(row => row.includes(match[1] ?? ''))
}

/** The row of the table a file belongs to; null outside src. */
function layerOf(path: string): string | null {
  const match = /^src\/(?:(app\/(?:dispatch|pool|workers)|http\/modules)\/|([^/]+)\/)/.exec(path)
  return match === null ? null : (match[1] ?? match[2]!)
}

/** `limit-req` of src/http/modules/limit-req.ts, `proxy` of a file in src/http/modules/proxy/; empty elsewhere. */
function moduleOf(path: string): string {
  return /^src\/http\/modules\/([^/]+?)(?:\.ts$|\/)/.exec(path)?.[1] ?? ''
}

/** Modules that the list of modules does not name. */
export function listedModules(files: readonly SourceFile[]): string[] {
  const index = files.find(file => file.path === MODULE_INDEX)
  const names = new Set(files.map(file => moduleOf(file.path)).filter(name => name !== '' && name !== 'index'))
  const listed = new Set(importsOf(index?.text ?? '').map(name => moduleOf(join(dirname(MODULE_INDEX), name))))
  return [...names]
    .filter(name => !listed.has(name))
    .map(
      name =>
        `${MODULE_INDEX} does not import the module "${name}": add it in running order, or move the file to src/http`,
    )
}

/** TypeScript that leaves code behind when types are stripped, which Node refuses to run. */
export function erasable({ path, text }: SourceFile): string[] {
  const complaints = []
  const code = text.replaceAll(/^\s*(?:\/\/|\*|\/\*).*$/gm, '')
  if (/^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?enum\s+\w/m.test(code)) {
    complaints.push(`${path} has an enum: write constants, or a union of strings`)
  }
  if (/^\s*(?:export\s+)?(?:declare\s+)?(?:namespace|module)\s+[\w.]+\s*\{/m.test(code)) {
    complaints.push(`${path} has a namespace: a file is a module already`)
  }
  if (/\bconstructor\s*\((?:[^)]*,)?\s*(?:(?:public|private|protected|readonly|override)\s+)+\w+\s*[?:]/.test(code)) {
    complaints.push(`${path} has a parameter property: declare the field and assign it in the constructor`)
  }
  return complaints
}

// The letters in brackets are for this file to pass its own rule.
const MARKS = /\b(?:T[O]DO|F[I]XME|X[X]X)\b/

export function unfinished({ path, text }: SourceFile): string[] {
  return text
    .split('\n')
    .flatMap((line, i) =>
      MARKS.test(line)
        ? [`${path}:${i + 1} marks something unfinished: finish it, or say in words what is left out and why`]
        : [],
    )
}

export function ownCodec({ path, text }: SourceFile): string[] {
  if (!path.startsWith('src/') || Object.hasOwn(NODE_HTTP, path)) return []
  return importsOf(text)
    .filter(specifier => /^(?:node:)?https?$/.test(specifier))
    .map(
      specifier =>
        `${path} imports ${specifier}: traffic goes through src/codec and src/net; a good reason goes into NODE_HTTP`,
    )
}

export function length({ path, text }: SourceFile): string[] {
  const lines = text.split('\n').length - 1
  if (lines <= LINES_MAX || Object.hasOwn(LONG_FILES, path)) return []
  return [`${path} has ${lines} lines, more than ${LINES_MAX}: divide it, or list it in LONG_FILES with the reason`]
}

export function headComment({ path, text }: SourceFile): string[] {
  // A test that mirrors a file of src is for what that file is for.
  if (path.endsWith('.test.ts')) return []
  const body = text.replace(/^#!.*\n/, '')
  const starts = path.endsWith('.py') ? ['"""', '#'] : ['//', '/*']
  if (body.trim() === '' || starts.some(start => body.startsWith(start))) return []
  return [`${path} does not start with a comment: say what the file is for, and its idea`]
}

/** Exceptions for files that are no more, or need them no more. */
export function staleExceptions(files: readonly SourceFile[]): string[] {
  const paths = new Set(files.map(file => file.path))
  return [...Object.keys(LONG_FILES), ...Object.keys(NODE_HTTP)]
    .filter(path => !paths.has(path))
    .map(path => `${path} is listed as an exception and does not exist: take it off the list in test/helpers/tidy.ts`)
}
