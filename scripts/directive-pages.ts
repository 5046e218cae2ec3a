// The directive reference of docs/directives: a page for each module, made from its declarations, and indexes of directives
// and variables. Pure: it answers texts by file name; scripts/docs.ts writes them, and test/docs compares them with what is
// there. What is said beyond the declarations is in directive-prose.

import { eventsDirectives, mainDirectives } from '../src/cli/main-directives.ts'
import type { Directive, Directives } from '../src/config/directive.ts'
import * as contexts from '../src/config/directive.ts'
import { contextNames } from '../src/config/registry.ts'
import type { HttpModule } from '../src/http/module.ts'
import { httpModules } from '../src/http/modules/index.ts'
import { corePrefixVariables, coreVariables } from '../src/http/server/variables.ts'
import { authHttpDirectives } from '../src/mail/auth-http.ts'
import { mailDirectives } from '../src/mail/core.ts'
import { imapDirectives } from '../src/mail/imap.ts'
import { pop3Directives } from '../src/mail/pop3.ts'
import { proxyDirectives as mailProxyDirectives } from '../src/mail/proxy.ts'
import { smtpDirectives } from '../src/mail/smtp.ts'
import { streamDirectives } from '../src/stream/core.ts'
import { proxyDirectives as streamProxyDirectives } from '../src/stream/proxy/conf.ts'
import { isOfSessions, streamVariables } from '../src/stream/variables.ts'
import { formOf } from './directive-form.ts'
import { proseOf, wordsOf } from './directive-prose/index.ts'
import type { Prose } from './directive-prose/prose.ts'
import { topics, type Topic } from './directive-prose/topics.ts'

interface Page {
  readonly name: string
  readonly directives: Directives
  /** Names without the `$`; of a family `arg_NAME`. */
  readonly variables: readonly string[]
}

const BLOCKS = [
  ['', contexts.LOCATION],
  [' in an `if` within a location', contexts.IF_IN_LOCATION],
  [' in `limit_except`', contexts.LIMIT_EXCEPT],
] as const

/** Groups of a regular expression: not declared by anybody. */
const CAPTURE = '1'

/** Every set of declarations there is. */
export const pages: readonly Page[] = [
  page('main', mainDirectives),
  page('events', eventsDirectives),
  ...httpModules.map(module => page(module.name, module.directives, variablesOf(module))),
  page('stream', streamDirectives, Object.keys(streamVariables)),
  page('stream-proxy', streamProxyDirectives),
  page('mail', mailDirectives),
  page('mail-auth-http', authHttpDirectives),
  page('mail-proxy', mailProxyDirectives),
  page('mail-imap', imapDirectives),
  page('mail-pop3', pop3Directives),
  page('mail-smtp', smtpDirectives),
].filter(({ directives, variables }) => Object.keys(directives).length > 0 || variables.length > 0)

function page(name: string, directives: Directives, variables: readonly string[] = []): Page {
  const usable = Object.entries(directives).filter(([, { refused }]) => refused === undefined)
  return { name, directives: Object.fromEntries(usable), variables }
}

/** The core's are no module's: it has none of its own. */
function variablesOf(module: Pick<HttpModule, 'name' | 'variables' | 'prefixVariables'>): string[] {
  const isCore = module.name === 'core'
  const { variables = {}, prefixVariables = {} } = isCore
    ? { variables: coreVariables, prefixVariables: corePrefixVariables }
    : module
  const families = Object.keys(prefixVariables).map(prefix => `${prefix}NAME`)
  return [...Object.keys(variables), ...families, ...(isCore ? [CAPTURE] : [])]
}

/** File names below docs/directives, and what they hold. */
export function directivePages(): Map<string, string> {
  const files = pages.map(page => [`${page.name}.md`, pageText(page)] as const)
  return new Map([['README.md', indexText()], ['variables.md', variablesText()], ...files])
}

const GENERATED = '<!-- made by "npm run docs" from the declarations in src; do not edit -->'

// ── the indexes ──────────────────────────────────────────────────────────────────────────────────────────────────────

function indexText(): string {
  return `# Directives

${GENERATED}

A directive that is nginx's does what [nginx's manual](https://nginx.org/en/docs/dirindex.html) says of it; these pages tell it in
short, and what is different here. One that is not in this list is an error, and so is a parameter that is not supported. *idle*:
accepted, so that existing files can be used, but what it tunes does not exist here. *no effect yet*: accepted with a warning,
since its feature is still to come.

Words in capitals stand for what is to be written, \`[ ]\` is around what may be left out, \`|\` between what excludes each other,
\`…\` behind what may be repeated. SIZE takes \`k\`, \`m\` (some \`g\`), and is bytes without; TIME takes \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`, and is
seconds without. PATH is relative to the prefix (\`-p\`, or the folder the program is started in), and for certificates, keys and
passwords to the configuration's folder.

| topic | pages | guides |
| --- | --- | --- |
${topics.map(topicRow).join('\n')}

The [variables](variables.md) are listed on a page of their own.

| directive | module | |
| --- | --- | --- |
${named(({ directives }) => Object.keys(directives))
  .map(directiveRow)
  .join('\n')}
`
}

function topicRow({ title, pages, guides = [] }: Topic): string {
  const links = Object.keys(pages).map(name => `[${name}](${name}.md)`)
  const ways = guides.map(name => `[${name}](../guides/${name}.md)`)
  return `| ${title} | ${links.join(', ')} | ${ways.join(', ')} |`
}

function directiveRow({ name, page }: Named): string {
  return `| [\`${name}\`](${page}.md#${name}) | [${page}](${page}.md) | ${firstWords(page, name)} |`
}

function variablesText(): string {
  const rows = named(({ variables }) => variables).map(
    ({ name, page }) => `| \`$${name}\` | [${page}](${page}.md#variables) | ${inTable(wordsOf(page, name))} |`,
  )
  return `# Variables

${GENERATED}

[All directives](README.md)

Besides these there are those that a configuration makes itself, by \`set\`, \`map\`, \`geo\`, \`split_clients\`, \`auth_request_set\`, or a
named group of a regular expression. NAME stands for any name.

| variable | module | |
| --- | --- | --- |
${rows.join('\n')}
`
}

interface Named {
  readonly name: string
  readonly page: string
}

/** What all pages have of a kind, in the alphabet's order. */
function named(of: (page: Page) => readonly string[]): Named[] {
  return pages
    .flatMap(page => of(page).map(name => ({ name, page: page.name })))
    .sort((a, b) => compare(a.name, b.name) || compare(a.page, b.page))
}

function firstWords(page: string, name: string): string {
  const directive = pages.find(one => one.name === page)!.directives[name]!
  if (directive.later === true) return '*no effect yet*'
  if (directive.idle === true) return '*idle*'
  const { text = '' } = proseOf(page, name)
  return inTable(/^.*?[.](?= |$)/s.exec(text)?.[0] ?? '')
}

function inTable(text: string): string {
  return text.replaceAll('|', '\\|')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

// ── a page ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function pageText({ name, directives, variables }: Page): string {
  const head = `# ${name}\n\n${GENERATED}\n\n${aboutOf(name)} [All directives](README.md)\n`
  const sections = Object.entries(directives).map(([word, directive]) => section(name, word, directive))
  const table = variables.length === 0 ? [] : [variablesSection(name, variables)]
  return [head, ...sections, ...table].join('\n')
}

/** What a page is about. */
export function aboutOf(page: string): string {
  return topics.map(({ pages }) => pages[page]).find(about => about !== undefined) ?? ''
}

function variablesSection(page: string, variables: readonly string[]): string {
  const rows = variables.map(name => `| \`$${name}\` | ${inTable(wordsOf(page, name))} |`)
  const others = page === 'stream' ? `\nThese are as in http: ${ofOtherModules().join(', ')}.\n` : ''
  return `## Variables\n\n| variable | |\n| --- | --- |\n${rows.join('\n')}\n${others}`
}

/** What sessions of the stream block have of the http modules' variables. */
function ofOtherModules(): string[] {
  const all = httpModules.filter(({ name }) => name !== 'core').flatMap(variablesOf)
  return all.filter(name => isOfSessions(name)).map(name => `\`$${name}\``)
}

/** The forms in which a directive is written. */
export function syntaxOf(page: string, name: string, directive: Directive<unknown>): readonly string[] {
  const args = proseOf(page, name).args ?? formOf(name, directive).args
  const forms = (Array.isArray(args) ? args : [args]) as readonly string[]
  return forms.map(one => written(name, one, directive))
}

function section(page: string, name: string, directive: Directive<unknown>): string {
  const said = proseOf(page, name)
  const standard = said.standard === undefined ? formOf(name, directive).standard : said.standard
  const syntax = syntaxOf(page, name, directive)
  const lines = [
    `## ${name}`,
    '',
    `- **Syntax:** ${syntax.map(one => `\`${one}\``).join(', ')}`,
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
