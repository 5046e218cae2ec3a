// `portico explain`: what a request would meet in a configuration, step by step and with the places in the files. The
// configuration is compiled as a front thread compiles it, and the request walks the real steps (explain-walk.ts); nothing
// is started, no connection made.

import { styleText } from 'node:util'
import { Uri } from '../codec/h1/uri.ts'
import { placeText } from '../config/errors.ts'
import type { Place } from '../config/directive.ts'
import { Notes } from '../http/notes.ts'
import { execute, FAILED, gaveUp } from '../http/regex.ts'
import { HttpRequest } from '../http/request.ts'
import { readUri } from '../http/session/request-start.ts'
import { tlsRefusal } from '../http/ssl/client-tls.ts'
import { check } from './check.ts'
import type { Configuration } from './configuration.ts'
import { AbsentClient, CLIENT_ADDRESS, CLIENT_PORT, headOf } from './explain-client.ts'
import { meetAddress, tellServer } from './explain-server.ts'
import { parseQuestion, usage, UsageError, type Question, type Url } from './explain-url.ts'
import { Walk, type Finding } from './explain-walk.ts'
import { invocationOf } from './invocation.ts'
import { MasterLog, print } from './master-log.ts'

/** @returns the exit code */
export function explain(args: readonly string[], name: string): number {
  if (args.includes('--help') || args.includes('-h')) {
    print(1, usage)
    return 0
  }
  let question: Question
  try {
    question = parseQuestion(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    print(2, `${name}: ${error.message}\n${usage}`)
    return 2
  }
  const { file, prefix, directives } = question
  const invocation = invocationOf({ prefix, file, directives, errorLog: 'stderr' })
  const notes = new Notes()
  const log = new MasterLog(name, null)
  const checked = check(invocation, log, notes)
  if (checked === null) {
    log.say(`configuration file ${invocation.file} test failed`)
    return 1
  }
  const findings = follow(question, checked.configuration, notes)
  print(1, question.json ? `${JSON.stringify({ steps: findings.map(asJson) }, null, 2)}\n` : asText(findings))
  return 0
}

function follow(question: Question, { http }: Configuration, notes: Notes): readonly Finding[] {
  const { method, url, fields } = question
  // The client is known when the address is; until then there is nobody to answer.
  const before = new Walk(notes, new AbsentClient('', 0, null))
  before.add('request', `${method} ${url.host === '' ? url.target : `${url.scheme}://${url.host}${url.target}`}`)
  const met = meetAddress(http, notes, url, before)
  if (met === null) return before.findings
  const { listen, localAddress, port } = met
  if (!listen.tls && url.scheme === 'https') {
    before.add('refused', 'no TLS is spoken there: the handshake fails')
    return before.findings
  }
  const host = url.host === '' ? localAddress : url.host
  const head = headOf(method, url.target, host, fields, listen)
  const server = head.host === null ? listen.defaultServer : listen.serverFor(head.host)
  const { matchedName } = head.host === null ? { matchedName: null } : listen
  const secured = listen.tls && (url.host === '' || url.scheme === 'https')
  const client = new AbsentClient(localAddress, port, secured ? server : null)
  const walk = new Walk(notes, client)
  walk.findings.push(...before.findings)
  const r = new HttpRequest(client, head, server, CLIENT_ADDRESS, CLIENT_PORT)
  if (head.status !== 0) {
    walk.add('refused', head.error)
    walk.end(r, Math.abs(head.status))
    return walk.findings
  }
  if (matchedName !== null && head.host !== null && execute(r, matchedName, head.host) === FAILED) {
    walk.add('refused', gaveUp(matchedName, head.host))
    walk.end(r, 500)
    return walk.findings
  }
  tellServer(notes, listen, server, head.host, walk)
  const refusal = begin(r, url, walk) ? (listen.tls ? tlsRefusal(r, client.tls) : 0) : 400
  if (refusal === 0) walk.go(r)
  else walk.end(r, refusal)
  return walk.findings
}

/** The request's URI, as a session sets it. False: it is invalid. */
function begin(r: HttpRequest, url: Url, walk: Walk): boolean {
  const target = new Uri()
  r.unparsedUri = r.head.path
  r.host = r.head.host ?? ''
  if (!readUri(r, target)) {
    walk.add('uri', `"${url.target}" is invalid: bad encoding, or above the root`)
    return false
  }
  r.uri = target.uri
  r.args = target.args
  r.uriIsRaw = !target.complex
  const sent = url.target.split('?', 1)[0]!
  const how = sent === r.uri ? 'as sent' : `decoded and normalised from "${sent}"`
  walk.add('uri', `"${r.uri}", ${how}${r.args === '' ? '' : `; arguments "${r.args}"`}`)
  return true
}

// ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface Told {
  readonly text: string
  readonly file: string | null
  readonly line: number | null
}

function told(text: string, place: Place | null): Told {
  return { text, file: place === null ? null : place.file, line: place === null ? null : place.line }
}

function asJson({ what, text, place, details }: Finding): object {
  return { step: what, ...told(text, place), details: details.map(detail => told(detail.text, detail.place)) }
}

const COLUMN = 14

function asText(findings: readonly Finding[]): string {
  const colours = process.stdout.isTTY
  const style = (format: 'bold' | 'dim', text: string): string => (colours ? styleText(format, text) : text)
  const placed = (text: string, place: Place | null): string =>
    place === null || place.line === 0 ? text : `${text}${text === '' ? '' : '  '}${style('dim', placeText(place))}`
  const lines: string[] = []
  for (const { what, text, place, details } of findings) {
    lines.push(`${style('bold', what.padEnd(COLUMN))}${placed(text, place)}`.trimEnd())
    for (const detail of details) lines.push(`${' '.repeat(COLUMN)}- ${placed(detail.text, detail.place)}`)
  }
  return `${lines.join('\n')}\n`
}
