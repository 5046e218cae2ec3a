// A response on its way into the cache: gathered in memory as long as it is small, else in a temporary file, and put in its
// place when it is whole. Nobody finds half of one.

import { closeSync, openSync, unlinkSync } from 'node:fs'
import { failureText } from '../../lib/errno.ts'
import { CRIT } from '../../log/error-log.ts'
import { moveFile } from '../files/move-file.ts'
import { tempName, writeFully } from '../request-body.ts'
import { beginningOf, writeBodyLength } from './entry-file.ts'
import type { Fetcher } from './fetcher.ts'
import type { CacheLookup } from './lookup.ts'
import { seconds } from './zone.ts'

/** Up to here a body is written at once, with what stands before it. */
const MEMORY_MAX = 65536

/** Fields that hold for the connection to the upstream, not for what was asked of it. */
const OWN = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection'])

export class CachedResponse {
  private readonly lookup: CacheLookup
  private readonly beginning: Buffer
  private readonly temp: Buffer
  private pieces: Buffer[] = []
  private held = 0
  private length = 0
  private descriptor = -1
  private isOver = false

  constructor(lookup: CacheLookup, validSec: number) {
    const { x, zone, key } = lookup
    const { vary, updatingSec, errorSec } = lookup.freshness
    const variant = lookup.settleVariant()
    this.lookup = lookup
    this.beginning = beginningOf(
      { validSec, date: seconds(), updatingSec, errorSec, key, vary, variant, head: headText(x) },
      0,
    )
    const folder = zone.path.usesTempPath ? x.tempPath : zone.path.folder
    this.temp = Buffer.from(`${folder}/${tempName()}.tmp`, 'latin1')
  }

  write(chunk: Buffer): void {
    if (this.isOver || chunk.length === 0) return
    this.length += chunk.length
    if (this.descriptor < 0 && this.held + chunk.length <= MEMORY_MAX) {
      this.pieces.push(Buffer.from(chunk))
      this.held += chunk.length
      return
    }
    this.attempt(() => {
      this.open()
      writeFully(this.descriptor, chunk)
    })
  }

  /** The response is complete, as far as its sender says; `declared` bytes long, if that is not below 0. */
  finish(declared: number): void {
    if (this.isOver) return
    const { lookup } = this
    const { zone, x } = lookup
    if (declared >= 0 && declared !== this.length && x.method !== 'HEAD') {
      this.discard()
      return
    }
    this.attempt(() => {
      this.open()
      writeBodyLength(this.descriptor, this.length)
      closeSync(this.descriptor)
      this.descriptor = -1
      moveFile(this.temp, zone.fileOf(lookup.id), () => zone.makeFolder(lookup.id))
      this.isOver = true
      lookup.stored(this.beginning.length + this.length)
    })
  }

  /** It is not whole, or not good: nothing is left of it. */
  discard(): void {
    if (this.isOver) return
    this.isOver = true
    this.pieces = []
    if (this.descriptor < 0) return
    closeSync(this.descriptor)
    this.descriptor = -1
    remove(this.temp)
  }

  private open(): void {
    if (this.descriptor >= 0) return
    this.descriptor = openSync(this.temp, 'wx', 0o600)
    writeFully(this.descriptor, Buffer.concat([this.beginning, ...this.pieces]))
    this.pieces = []
  }

  /** A cache that cannot be written makes nobody wait: the client gets its response all the same. */
  private attempt(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.lookup.x.r.log(
        CRIT,
        `response could not be cached: ${failureText(error as NodeJS.ErrnoException)} while reading upstream`,
      )
      this.discard()
      remove(this.temp)
    }
  }
}

function headText(x: Fetcher): string {
  let text = `${x.statusText === '' ? x.status : x.statusText}\r\n`
  if (!/^\d{3}/.test(text)) text = `${x.status} ${text}`
  for (let i = 0; i < x.names.length; i++) {
    const name = x.names[i]!
    if (name !== '' && !OWN.has(name)) text += `${x.spelling(i)}: ${x.values[i]}\r\n`
  }
  return text
}

function remove(path: Buffer): void {
  try {
    unlinkSync(path)
  } catch {
    // It was never made, or is in its place.
  }
}
