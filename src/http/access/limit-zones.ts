// `limit_req_zone` and `limit_conn_zone` declare zones: a key, and memory that all threads share. What is common to both.

import type { Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSize } from '../../config/units.ts'
import { choice } from '../../config/values.ts'
import { claimZone } from '../../config/zone-names.ts'
import { ERR, INFO, NOTICE, WARN } from '../../log/error-log.ts'
import { KeyTable } from '../../zone/key-table.ts'
import type { Value } from '../module.ts'
import type { HttpSetup, Registry } from '../setup.ts'

export interface ZoneDeclaration {
  readonly key: Template
  readonly name: string
  readonly bytes: number
  readonly site: Site
}

/** nginx's eight pages, below which a zone is of no use. */
const BYTES_MIN = 32768

/** `key zone=name:size`, and other parameters that `more` takes. */
export function parseZone(args: readonly string[], at: Site, more: (word: string) => boolean): ZoneDeclaration {
  const key = Template.parse(args[0]!, at)
  let name = ''
  let bytes = 0
  for (const word of args.slice(1)) {
    if (word.startsWith('zone=')) {
      const colon = word.indexOf(':')
      bytes = (colon < 0 ? null : parseSize(word.slice(colon + 1))) ?? at.fail(`invalid zone size "${word}"`)
      if (bytes < BYTES_MIN) at.fail(`zone "${word}" is too small`)
      name = word.slice(5, colon)
    } else if (!more(word)) at.fail(`invalid parameter "${word}"`)
  }
  if (name === '') at.fail(`"${at.name}" must have "zone" parameter`)
  claimZone(at, name, bytes)
  return { key, name, bytes, site: at }
}

/** A zone in use. Its table is there once the thread has started. */
export class LimitZone {
  readonly name: string
  readonly key: Value
  readonly keyText: string
  table: KeyTable | null = null

  constructor(declared: ZoneDeclaration, http: HttpSetup) {
    this.name = declared.name
    this.key = http.value(declared.key)
    this.keyText = declared.key.text
  }

  /** Asks for the memory. It is kept over a reload as long as the zone has the same size and the same key. */
  claim(kind: string, bytes: number, http: HttpSetup): void {
    const key = `${kind} "${this.name}" ${this.keyText}`
    http.sharedMemory(key, bytes)
    http.onStart(services => {
      this.table = new KeyTable(services.shared(key))
    })
  }
}

export function addZone<Z extends LimitZone>(
  zones: Registry<Z>,
  zone: Z,
  kind: string,
  declared: ZoneDeclaration,
  http: HttpSetup,
): void {
  const { name, bytes, site } = declared
  const known = zones.get(name)
  if (known !== null) site.fail(`${kind} "${name}" is already bound to key "${known.keyText}"`)
  zones.set(name, zone)
  zone.claim(kind, bytes, http)
}

/** limit_req_log_level and limit_conn_log_level. */
export function limitLogLevel(contexts: number): ReturnType<typeof choice<number, number>> {
  return choice(contexts, { info: INFO, notice: NOTICE, warn: WARN, error: ERR }, ERR)
}
