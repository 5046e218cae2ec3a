// charset_map: tables between two charsets, and recoding by them (ngx_http_charset_filter_module). Between charsets of one
// byte a table has 256 bytes; UTF-8 is written with up to three bytes, and read character by character.

import type { Site } from '../../config/directive.ts'
import { EMPTY } from '../output.ts'

/** Turns pieces of a body into another charset; keeps what a piece ends in the middle of. */
export interface Recoder {
  recode(bytes: Buffer): Buffer
  /** What was kept when the body ended. */
  end(): Buffer
}

/** A way from one charset to another. */
export interface Recoding {
  open(): Recoder
  /** Does the body keep its length? */
  readonly keepsLength: boolean
}

const QUESTION = 63

/** What charset_map declares: how to get from the first charset to the second, and back. */
export interface CharsetMap {
  readonly from: string
  readonly to: string
  readonly there: Recoding
  readonly back: Recoding
}

export function parseCharsetMap([from, to]: readonly string[], at: Site): CharsetMap {
  if (from!.toLowerCase() === to!.toLowerCase()) {
    at.fail(`"charset_map" between the same charsets "${from}" and "${to}"`)
  }
  if (isUtf8(from!)) at.fail('"charset_map" with "utf-8" charset should be given in the second column')
  const names = { from: from!.toLowerCase(), to: to!.toLowerCase() }
  return { ...names, ...(isUtf8(to!) ? utf8Map(at) : byteMap(at)) }
}

export function isUtf8(charset: string): boolean {
  return charset.toLowerCase() === 'utf-8'
}

/** Both columns of every line: a byte, and hexadecimal digits. */
function readLines(at: Site, each: (byte: number, text: string, refuse: () => never) => void): void {
  for (const line of at.lines) {
    const [second] = line.words
    if (line.words.length !== 1) at.failAt(line, 'invalid parameters number')
    const byte = parseByte(line.name) ?? at.failAt(line, `invalid value "${line.name}"`)
    each(byte, second!.text, () => at.failAt(line, `invalid value "${second!.text}"`))
  }
}

function parseByte(hex: string): number | null {
  if (!/^[0-9a-f]+$/i.test(hex)) return null
  const value = parseInt(hex, 16)
  return value > 255 ? null : value
}

/** ASCII stays what it is; what is not in the map becomes a question mark. */
function byteTable(): Uint8Array {
  const table = new Uint8Array(256).fill(QUESTION)
  for (let i = 0; i < 128; i++) table[i] = i
  return table
}

function byteMap(at: Site): { there: Recoding; back: Recoding } {
  const [there, back] = [byteTable(), byteTable()]
  readLines(at, (byte, text, refuse) => {
    const other = parseByte(text) ?? refuse()
    there[byte] = other
    back[other] = byte
  })
  return { there: byBytes(there), back: byBytes(back) }
}

function byBytes(table: Uint8Array): Recoding {
  const recoder: Recoder = {
    recode(bytes) {
      const recoded = Buffer.allocUnsafeSlow(bytes.length)
      for (let i = 0; i < bytes.length; i++) recoded[i] = table[bytes[i]!]!
      return recoded
    },
    end: () => EMPTY,
  }
  return { keepsLength: true, open: () => recoder }
}

function utf8Map(at: Site): { there: Recoding; back: Recoding } {
  const there = Array.from({ length: 256 }, (_, i) => (i < 128 ? String.fromCharCode(i) : '?'))
  const back = new Map<number, number>()
  for (let i = 0; i < 128; i++) back.set(i, i)
  readLines(at, (byte, text, refuse) => {
    if (!/^(?:[0-9a-f]{2}){1,3}$/i.test(text)) refuse()
    const bytes = Buffer.from(text, 'hex')
    const character = bytes.toString('utf8')
    if (character.length !== 1 || character === '\ufffd') refuse()
    there[byte] = bytes.toString('latin1')
    back.set(character.charCodeAt(0), byte)
  })
  const toUtf8: Recoder = {
    recode(bytes) {
      let text = ''
      for (let i = 0; i < bytes.length; i++) text += there[bytes[i]!]!
      return Buffer.from(text, 'latin1')
    },
    end: () => EMPTY,
  }
  return {
    there: { keepsLength: false, open: () => toUtf8 },
    back: { keepsLength: false, open: () => new FromUtf8(back) },
  }
}

/** A character the other charset does not have is written as HTML writes it: `&#8364;`. */
class FromUtf8 implements Recoder {
  private readonly bytes: ReadonlyMap<number, number>
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true })

  constructor(bytes: ReadonlyMap<number, number>) {
    this.bytes = bytes
  }

  recode(bytes: Buffer): Buffer {
    return this.encode(this.decoder.decode(bytes, { stream: true }))
  }

  end(): Buffer {
    return this.encode(this.decoder.decode())
  }

  private encode(text: string): Buffer {
    let encoded = ''
    for (const character of text) {
      const code = character.codePointAt(0)!
      const byte = this.bytes.get(code)
      if (byte !== undefined) encoded += String.fromCharCode(byte)
      else encoded += character === '\ufffd' ? '?' : `&#${code};`
    }
    return Buffer.from(encoded, 'latin1')
  }
}
