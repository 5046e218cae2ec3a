// proxy_store and its relatives: a response is kept as a file as it passes, so that the next request for it finds the file
// (a mirror that fills itself). It is written to the temporary folder and moved to its place when it is whole and a 200.

import { chmodSync, closeSync, mkdirSync, openSync, unlinkSync, utimesSync } from 'node:fs'
import { dirname } from 'node:path'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import type { Directive, Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { errorText } from '../../lib/errno.ts'
import { NO_DATE, parseHttpDate } from '../../lib/http-date.ts'
import { CRIT } from '../../log/error-log.ts'
import { filePath } from '../files/document-root.ts'
import { moveFile } from '../files/move-file.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { tempName, writeFully } from '../request-body.ts'

const anywhere = HTTP | SERVER | LOCATION

/** `on`: where root or alias say; a path; or `off`. */
export const storeDirective: Directive<Template | 'on' | 'off'> = {
  in: anywhere,
  args: [1, 1],
  default: 'off',
  parse([word], at) {
    if (word === 'on' || word === 'off') return word
    if (word === '') at.fail('empty path')
    return Template.parse(word!.startsWith('$') ? word! : at.prefixPath(word!), at)
  },
}

/** `user:rw group:r all:r`; the owner may always read and write. */
export const storeAccessDirective: Directive<number> = {
  in: anywhere,
  args: [1, 3],
  default: 0o600,
  parse: (words, at) => words.reduce((mode, word) => mode | accessOf(word, at), 0o600),
}

const WHO: Readonly<Record<string, number>> = { user: 6, group: 3, all: 0 }
const WHAT: Readonly<Record<string, number>> = { r: 4, rw: 6 }

function accessOf(word: string, at: Site): number {
  const [who, what] = word.split(':')
  const shift = WHO[who!]
  const bits = WHAT[what ?? '']
  return shift === undefined || bits === undefined ? at.fail(`invalid value "${word}"`) : bits << shift
}

/** One location's. */
export interface StoreConf {
  /** Null: the document's own path. */
  readonly path: Value | null
  readonly access: number
  readonly tempPath: string
}

/** The file of one response. */
export class StoredResponse {
  private readonly r: HttpRequest
  private readonly conf: StoreConf
  private readonly temp: string
  private descriptor = -1
  private length = 0

  constructor(r: HttpRequest, conf: StoreConf) {
    this.r = r
    this.conf = conf
    this.temp = `${conf.tempPath}/${tempName()}`
    this.attempt(() => {
      this.descriptor = openSync(bytes(this.temp), 'wx', 0o600)
    })
  }

  write(chunk: Buffer): void {
    if (this.descriptor < 0 || chunk.length === 0) return
    this.length += chunk.length
    this.attempt(() => writeFully(this.descriptor, chunk))
  }

  /** The response is complete, as far as its sender says; `declared` bytes long, if that is not below 0. */
  finish(declared: number, lastModified: string): void {
    if (this.descriptor < 0) return
    if (declared >= 0 && declared !== this.length) {
      this.discard()
      return
    }
    const { r, conf } = this
    const path = conf.path === null ? filePath(r) : conf.path.get(r)
    if (path === '' || path.includes('\0')) {
      this.discard()
      return
    }
    this.attempt(() => {
      closeSync(this.descriptor)
      this.descriptor = -1
      chmodSync(bytes(this.temp), conf.access)
      const time = lastModified === '' ? NO_DATE : parseHttpDate(lastModified)
      if (time !== NO_DATE) utimesSync(bytes(this.temp), time, time)
      moveFile(bytes(this.temp), bytes(path), () => makeFolders(dirname(path), conf.access))
    })
  }

  /** It is not whole, or not good: nothing is left of it. */
  discard(): void {
    if (this.descriptor < 0) return
    closeSync(this.descriptor)
    this.descriptor = -1
    this.remove()
  }

  /** Storing is a service on the side: what fails is logged, and the client gets its response all the same. */
  private attempt(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.r.report(CRIT, `${problemOf(error as StoreError)} while reading upstream`)
      if (this.descriptor >= 0) this.discard()
      else this.remove()
    }
  }

  private remove(): void {
    try {
      unlinkSync(bytes(this.temp))
    } catch {
      // It was never made, or somebody has tidied the folder.
    }
  }
}

type StoreError = NodeJS.ErrnoException & { readonly dest?: string }

/** `rename() "from" to "to" failed (13: Permission denied)` */
function problemOf(error: StoreError): string {
  if (error.syscall === undefined) return `response could not be stored: ${error.message}`
  const from = error.path === undefined ? '' : ` "${error.path}"`
  const to = error.dest === undefined ? '' : ` to "${error.dest}"`
  return `${error.syscall}()${from}${to} failed (${errorText(error)})`
}

/** Who may read a file may enter its folders. */
function makeFolders(folder: string, access: number): void {
  mkdirSync(bytes(folder), { recursive: true, mode: 0o700 | access | ((access & 0o444) >> 2) })
}

function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}
