// What the README and the guides show is true: configurations pass the program's own check, and commands use options there are.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import test from 'node:test'
import { readCommandLine } from '../../src/app/settings/command-line.ts'
import { parseControl } from '../../src/cli/control-options.ts'
import { parseStatus } from '../../src/cli/status-options.ts'
import { parseSwitches } from '../../src/cli/switches.ts'
import { parseQuestion } from '../../src/cli/explain-url.ts'
import { certificate } from '../helpers/certificates.ts'
import { check } from '../helpers/check.ts'
import { needs } from '../helpers/needs.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { blocksOf, commandsOf, pagesOf, root } from './blocks.ts'
import type { Block } from './blocks.ts'

const blocks = [...pagesOf('README.md'), ...pagesOf('docs/guides/*.md')].flatMap(blocksOf)

for (const block of blocks.filter(({ language }) => language === 'nginx')) {
  test(`docs: the configuration at ${block.place} is accepted`, t => {
    const dir = tempDir(t)
    writeFileSync(join(dir, 'portico.conf'), inside(dir, whole(block.text)))
    copyFileSync(join(root, 'conf/mime.types'), join(dir, 'mime.types'))
    provide(dir, block.text)
    const { status, stderr } = check(dir, 'portico.conf', { errorLog: 'stderr' })
    assert.equal(status, 0, stderr)
    assert.match(stderr, /test is successful/)
  })
}

for (const block of blocks.filter(({ language }) => language === 'sh')) {
  const commands = commandsOf(block).flatMap(simpleCommands).flatMap(command)
  if (commands.length === 0) continue
  test(`docs: the commands at ${block.place} use options there are`, () => {
    for (const { line, words } of commands) tryCommand(line, words)
  })
}

// What systemd and a container start is a command, too.
for (const block of blocks.filter(({ language }) => language === 'ini' || language === 'dockerfile')) {
  const lines = [...block.text.matchAll(/^(?:Exec\w+=|CMD )(.*)$/gm)].map(([, text]) =>
    text!.startsWith('[') ? (JSON.parse(text!) as string[]).join(' ') : text!,
  )
  const commands = lines.flatMap(command)
  if (commands.length === 0) continue
  test(`docs: what is started at ${block.place} uses options there are`, () => {
    for (const { line, words } of commands) tryCommand(line, words)
  })
}

/** A call of this program; of others nothing. */
function command(line: string): { line: string; words: string[] }[] {
  const match = /^(?:\S*\/)?portico(?:\s+|$)(.*)$/.exec(line)
  return match === null ? [] : [{ line, words: split(match[1]!) }]
}

/** Divides at `&&`, `;` and `|` outside of quotes. */
function simpleCommands(line: string): string[] {
  const words = line.match(/"[^"]*"|'[^']*'|&&|[;|]|[^\s;|"']+|\s+/g) ?? []
  const commands = ['']
  for (const word of words) {
    if (word === '&&' || word === ';' || word === '|') commands.push('')
    else commands.push(commands.pop()! + word)
  }
  return commands.map(text => text.trim())
}

function tryCommand(line: string, words: readonly string[]): void {
  const readers: Readonly<Record<string, (args: readonly string[]) => unknown>> = {
    serve: args => readCommandLine(args, {}),
    status: parseStatus,
    control: parseControl,
    explain: parseQuestion,
  }
  const [name = '', ...args] = words
  const read = readers[name]
  assert.doesNotThrow(() => (read === undefined ? parseSwitches(words) : read(args)), line)
}

/** Words as a shell makes them of what is shown: quotes, no expansions. */
function split(text: string): string[] {
  return [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(match => match[1] ?? match[2] ?? match[3]!)
}

// ── from what is shown to a file that can be checked ─────────────────────────────────────────────────────────────────

/** A fragment gets the blocks around it: `server` needs http, `location` needs server. */
function whole(text: string): string {
  const has = (name: string): boolean => new RegExp(`^${name}\\b`, 'm').test(text)
  if (has('http') || has('stream') || has('mail')) return has('events') ? text : `events {}\n${text}`
  // The zones and applications that a page's first example has declared.
  const zones = [...new Set([...text.matchAll(/^\s*proxy_cache\s+(\w+);/gm)].map(match => match[1]!))]
  const caches = zones.map(name => `proxy_cache_path cache-${name} keys_zone=${name}:1m;\n`).join('')
  const passes = [...new Set([...text.matchAll(/^\s*app_pass\s+(\w+);/gm)].map(match => match[1]!))]
  const apps = has('app') ? '' : passes.map(name => `app ${name} { directory .; module a:b; }\n`).join('')
  const inHttp = has('server') || has('upstream') || has('app') ? text : `server {\n${text}}\n`
  return `events {}\nhttp {\n${caches}${apps}${inHttp}${text.includes('listen ') ? '' : 'server { }\n'}}\n`
}

/** Paths of the example's machine become paths below a folder of ours, and ports that are root's others: a check tries them. */
function inside(dir: string, text: string): string {
  return text
    .replaceAll(/(?<=\s|unix:)\/(srv|var|run|opt|etc)\//g, `${dir}/$1/`)
    .replaceAll(/(?<=^\s*listen\s+(?:\S+:)?)\d{1,3}(?=[\s;])/gm, port => String(8000 + Number(port)))
}

/** The folders and files that the configuration says an application has. */
function provide(dir: string, text: string): void {
  for (const [, body] of text.matchAll(/^\s*app \w+ \{(.*?)\}/gms)) {
    const directory = /directory\s+(\S+);/.exec(body!)![1]!
    const module = /module\s+(\S+);/.exec(body!)![1]!
    mkdirSync(join(dir, directory), { recursive: true })
    const python = /python\s+(\S+);/.exec(body!)?.[1]
    const files = /\.[cm]?[jt]s$/.test(module) ? [join(directory, module)] : python === undefined ? [] : [python]
    for (const file of files) {
      mkdirSync(join(dir, dirname(file)), { recursive: true })
      writeFileSync(join(dir, file), '')
    }
  }
  // Folders of logs and of the pid file, which a check opens.
  for (const [, path] of text.matchAll(/^\s*(?:error_log|access_log|pid)\s+(\/[^\s;]+)/gm)) {
    mkdirSync(join(dir, dirname(path!)), { recursive: true })
  }
  for (const [, path] of text.matchAll(/^\s*include\s+(\/opt\/\S+\/mime\.types);/gm)) {
    mkdirSync(join(dir, dirname(path!)), { recursive: true })
    copyFileSync(join(root, 'conf/mime.types'), join(dir, path!))
  }
  for (const [, path] of text.matchAll(/^\s*proxy_cache_path\s+(\/\S+)/gm)) {
    mkdirSync(join(dir, dirname(path!)), { recursive: true })
  }
  for (const [, path] of text.matchAll(/^\s*ssl_certificate\s+(\/\S+)\.pem;/gm)) {
    mkdirSync(join(dir, dirname(path!)), { recursive: true })
    certificate(join(dir, dirname(path!)), basename(path!))
    renameSync(join(dir, `${path}.crt`), join(dir, `${path}.pem`))
  }
}

for (const block of blocks.filter(({ language }) => language === 'python')) {
  test(`docs: the Python at ${block.place} can be compiled`, t => {
    if (!needs(t, 'python3')) return
    const code = 'import ast, sys; compile(sys.stdin.read(), "block", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)'
    const { status, stderr } = spawnSync('python3', ['-c', code], { input: block.text, encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  })
}

test('docs: there are examples to be checked', () => {
  const count = (language: string): number => blocks.filter(block => block.language === language).length
  assert.ok(count('nginx') >= 8)
  assert.ok(count('sh') >= 8)
})

// What each block is is told by its language, so a new kind is not overlooked.
test('docs: every block of code has a language that is known here', () => {
  const known = new Set(['nginx', 'sh', 'ts', 'js', 'ini', 'json', 'python', 'dockerfile', ''])
  const unknown = blocks.filter((block: Block) => !known.has(block.language)).map(({ place }) => place)
  assert.deepEqual(unknown, [])
})
