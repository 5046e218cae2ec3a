// The directive reference of docs/directives: a page for each module, made from its declarations, and an index. Pure: it
// answers texts by file name; scripts/docs.ts writes them, and test/docs compares them with what is there.

import { eventsDirectives, mainDirectives } from '../src/cli/main-directives.ts'
import type { Directive, Directives } from '../src/config/directive.ts'
import * as contexts from '../src/config/directive.ts'
import { contextNames } from '../src/config/registry.ts'
import { httpModules } from '../src/http/modules/index.ts'
import { streamDirectives } from '../src/stream/core.ts'
import { proxyDirectives as streamProxyDirectives } from '../src/stream/proxy/conf.ts'
import { formOf } from './directive-form.ts'
import { prose, type Prose } from './directive-prose.ts'

interface Page {
  readonly name: string
  readonly directives: Directives
}

const BLOCKS = [
  ['', contexts.LOCATION],
  [' in an `if` within a location', contexts.IF_IN_LOCATION],
  [' in `limit_except`', contexts.LIMIT_EXCEPT],
] as const

/** Every set of declarations there is. */
export const pages: readonly Page[] = [
  { name: 'main', directives: mainDirectives },
  { name: 'events', directives: eventsDirectives },
  ...httpModules.map(({ name, directives }) => ({ name, directives: directives as Directives })),
  { name: 'stream', directives: streamDirectives },
  { name: 'stream-proxy', directives: streamProxyDirectives },
]
  .map(({ name, directives }) => ({ name, directives: usable(directives) }))
  .filter(page => Object.keys(page.directives).length > 0)

function usable(directives: Directives): Directives {
  return Object.fromEntries(Object.entries(directives).filter(([, { refused }]) => refused === undefined))
}

/** File names below docs/directives, and what they hold. */
export function directivePages(): Map<string, string> {
  const files = pages.map(page => [`${page.name}.md`, pageText(page)] as const)
  return new Map([['README.md', indexText()], ...files])
}

/** What is said of a directive, by its page where a name has several meanings. */
export function proseOf(page: string, name: string): Prose {
  return prose[`${page}/${name}`] ?? prose[name] ?? {}
}

// ── the index ────────────────────────────────────────────────────────────────────────────────────────────────────────

function indexText(): string {
  const all = pages.flatMap(page => Object.keys(page.directives).map(name => ({ name, page: page.name })))
  const rows = all
    .sort((a, b) => compare(a.name, b.name) || compare(a.page, b.page))
    .map(
      ({ name, page }) => `| [\`${name}\`](${page}.md#${name}) | [${page}](${page}.md) | ${firstWords(page, name)} |`,
    )
  return `# Directives

${GENERATED}

A directive that is nginx's does what [nginx's manual](https://nginx.org/en/docs/dirindex.html) says of it; these pages add what
is different here. One that is not in this list is an error, and so is a parameter that is not supported. *idle*: accepted, so
that existing files can be used, but what it tunes does not exist here. *no effect yet*: accepted with a warning, since its
feature is still to come.

Sizes take \`k\`, \`m\` (some \`g\`); times \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`, and are seconds without. Paths are relative to the prefix (\`-p\`,
or the folder the program is started in).

| directive | module | |
| --- | --- | --- |
${rows.join('\n')}
`
}

function firstWords(page: string, name: string): string {
  const directive = pages.find(one => one.name === page)!.directives[name]!
  if (directive.later === true) return '*no effect yet*'
  if (directive.idle === true) return '*idle*'
  const { text = '' } = proseOf(page, name)
  return /^.*?[.](?= |$)/s.exec(text)?.[0].replaceAll('|', '\\|') ?? ''
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

const GENERATED = '<!-- made by "npm run docs" from the declarations in src; do not edit -->'

// ── a page ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function pageText({ name, directives }: Page): string {
  const sections = Object.entries(directives).map(([word, directive]) => section(name, word, directive))
  return `# ${name}\n\n${GENERATED}\n\n[All directives](README.md)\n\n${sections.join('\n')}`
}

function section(page: string, name: string, directive: Directive<unknown>): string {
  const form = formOf(name, directive)
  const said = proseOf(page, name)
  const args = said.args ?? form.args
  const syntax = (Array.isArray(args) ? args : [args]) as readonly string[]
  const standard = said.standard === undefined ? form.standard : said.standard
  const lines = [
    `## ${name}`,
    '',
    `- **Syntax:** ${syntax.map(one => `\`${written(name, one, directive)}\``).join(', ')}`,
    `- **Default:** ${standard === null ? '—' : isProse(said, standard) ? standard.slice(1) : `\`${name} ${standard};\``}`,
    `- **Context:** ${contextNames(directive.in).join(', ')}`,
  ]
  const notes = [said.text ?? '', repeated(directive), inheritance(directive), idle(directive)].filter(
    note => note !== '',
  )
  return `${[...lines, ...notes.flatMap(note => ['', note])].join('\n')}\n`
}

/** A default that words describe begins with `=`. */
function isProse(said: Prose, standard: string): boolean {
  return said.standard !== undefined && standard.startsWith('=')
}

function written(name: string, args: string, directive: Directive<unknown>): string {
  const head = args === '' ? name : `${name} ${args}`
  return directive.block === undefined ? `${head};` : `${head} { … }`
}

function repeated(directive: Directive<unknown>): string {
  return directive.repeatable === true && directive.block === undefined ? 'May be given several times.' : ''
}

/** Only what surprises: a directive of one context, or one that is inherited everywhere, needs no word. */
function inheritance({ in: where, inheritedBy, block, idle: inert }: Directive<unknown>): string {
  if (inheritedBy === undefined || block !== undefined || inert === true) return ''
  const inner = BLOCKS.filter(([, bit]) => (where & bit) !== 0)
  if (inner.length === 0) return ''
  const inherits = inner.filter(([, bit]) => (inheritedBy & bit) !== 0).map(([words]) => words.trim())
  return inherits.length === 0
    ? 'Not inherited by inner blocks.'
    : `Not inherited by nested locations, but ${inherits.filter(words => words !== '').join(' and ')}.`
}

function idle(directive: Directive<unknown>): string {
  if (directive.later === true) return 'Accepted with a warning: its feature does not exist yet, so it changes nothing.'
  return directive.idle === true ? 'Accepted so that existing files can be used; it changes nothing here.' : ''
}
