// A cached response as a file: a fixed beginning, the key, the names it varies by, the response's head, its body.
//
//   0 magic │ 4 lengths of key, vary, head │ 16 valid until │ 24 made at │ 32 stale while updated, on error │ 40 body's length
//   48 variant │ 64 key, vary, head, body …

import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { OpenFile, REGULAR } from '../files/open-file.ts'

const MAGIC = 0x31435450
const START = 64
/** What is read at once: the whole of a small response. */
const FIRST_READ = 65536 + 16384
/** Key, names and head together; what claims to be longer is not ours. */
const BEGINNING_MAX = 1024 * 1024

export interface EntryTimes {
  validSec: number
  date: number
  updatingSec: number
  errorSec: number
}

export interface EntryHead extends EntryTimes {
  readonly key: string
  readonly vary: string
  /** '' where it does not vary. */
  readonly variant: string
  /** `STATUS REASON`, CRLF, and the fields' lines. */
  readonly head: string
}

export interface Entry extends EntryHead {
  readonly bodyStart: number
  readonly bodyLength: number
  /** The body of a small one, null for a big one: then `file` is open. */
  readonly body: string | null
  readonly file: OpenFile | null
  readonly size: number
  /** The head's lines, once somebody has read them. */
  fields: EntryFields | null
}

export interface EntryFields {
  readonly status: number
  readonly statusText: string
  readonly names: readonly string[]
  readonly values: readonly string[]
  readonly originalName: (i: number) => string
  /** As the response itself said, -1 if it did not. */
  readonly contentLength: number
  readonly hasRanges: boolean
}

/** Everything in front of the body. */
export function beginningOf(entry: EntryHead, bodyLength: number): Buffer {
  const text = entry.key + entry.vary + entry.head
  const bytes = Buffer.alloc(START + text.length)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeUInt32LE(entry.key.length, 4)
  bytes.writeUInt32LE(entry.vary.length, 8)
  bytes.writeUInt32LE(entry.head.length, 12)
  writeTimes(bytes, entry)
  bytes.writeDoubleLE(bodyLength, 40)
  bytes.write(entry.variant, 48, 'latin1')
  bytes.write(text, START, 'latin1')
  return bytes
}

function writeTimes(bytes: Buffer, times: EntryTimes): void {
  bytes.writeDoubleLE(times.validSec, 16)
  bytes.writeDoubleLE(times.date, 24)
  bytes.writeUInt32LE(Math.min(times.updatingSec, 0xffffffff), 32)
  bytes.writeUInt32LE(Math.min(times.errorSec, 0xffffffff), 36)
}

/** Puts the body's length where it belongs, once it is known. */
export function writeBodyLength(descriptor: number, length: number): void {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(length, 0)
  writeSync(descriptor, bytes, 0, 8, 40)
}

/** Gives a file that has been found to be good still a new time to live. Throws what the file system throws. */
export function updateTimes(path: Buffer, times: EntryTimes): void {
  const descriptor = openSync(path, 'r+')
  try {
    const bytes = Buffer.alloc(48)
    writeTimes(bytes, times)
    writeSync(descriptor, bytes, 16, 24, 16)
  } finally {
    closeSync(descriptor)
  }
}

/** There is no such file. */
export const MISSING = 'missing'
/** There is one, but it is not ours, or torn. */
export const BROKEN = 'broken'

const first = Buffer.allocUnsafeSlow(FIRST_READ)

/** Throws what the file system throws, but for a file that is not there. */
export function readEntry(path: Buffer): Entry | typeof MISSING | typeof BROKEN {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return MISSING
    throw error
  }
  let entry: Entry | typeof BROKEN = BROKEN
  try {
    entry = parse(descriptor, path)
  } finally {
    if (entry === BROKEN || entry.file === null) closeSync(descriptor)
  }
  return entry
}

function parse(descriptor: number, path: Buffer): Entry | typeof BROKEN {
  let length = readSync(descriptor, first, 0, FIRST_READ, 0)
  if (length < START || first.readUInt32LE(0) !== MAGIC) return BROKEN
  const keyEnd = START + first.readUInt32LE(4)
  const varyEnd = keyEnd + first.readUInt32LE(8)
  const bodyStart = varyEnd + first.readUInt32LE(12)
  if (bodyStart > BEGINNING_MAX) return BROKEN
  let bytes = first
  if (bodyStart > length) {
    bytes = Buffer.allocUnsafe(bodyStart)
    length = readSync(descriptor, bytes, 0, bodyStart, 0)
    if (length < bodyStart) return BROKEN
  }
  const bodyLength = bytes.readDoubleLE(40)
  const size = bodyStart + bodyLength
  if (!(bodyLength >= 0)) return BROKEN
  const isWhole = size <= length
  if (!isWhole && fstatSync(descriptor).size < size) return BROKEN
  const variant = bytes.toString('latin1', 48, 64)
  return {
    validSec: bytes.readDoubleLE(16),
    date: bytes.readDoubleLE(24),
    updatingSec: bytes.readUInt32LE(32),
    errorSec: bytes.readUInt32LE(36),
    key: bytes.toString('latin1', START, keyEnd),
    vary: bytes.toString('latin1', keyEnd, varyEnd),
    variant: varyEnd === keyEnd ? '' : variant,
    head: bytes.toString('latin1', varyEnd, bodyStart),
    bodyStart,
    bodyLength,
    body: isWhole ? bytes.toString('latin1', bodyStart, size) : null,
    file: isWhole ? null : bigFile(descriptor, path, size),
    size,
    fields: null,
  }
}

function bigFile(descriptor: number, path: Buffer, size: number): OpenFile {
  const file = new OpenFile(path.toString('latin1'), 0, 0)
  file.kind = REGULAR
  file.size = size
  file.descriptor = descriptor
  return file
}

/** Lets go of a file that nobody reads from. */
export function closeEntry({ file }: Entry): void {
  file?.closeIfUnused()
}
