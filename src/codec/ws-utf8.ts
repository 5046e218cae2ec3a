// Is text UTF-8, told as soon as its bytes show that it is not: a client that sends nonsense need not finish its message.

import { isUtf8 } from 'node:buffer'

/** Bytes in any split. */
export class Utf8Check {
  /** Bytes of the character at hand that are still to come, and what the next of them may be (RFC 3629, section 4). */
  private missing = 0
  private least = 0x80
  private most = 0xbf

  reset(): void {
    this.missing = 0
  }

  /** May the text end here? */
  get complete(): boolean {
    return this.missing === 0
  }

  /** False: these bytes cannot stand where they do. */
  push(bytes: Buffer): boolean {
    if (this.missing === 0 && isUtf8(bytes)) return true
    for (let i = 0; i < bytes.length; i++) if (!this.take(bytes[i]!)) return false
    return true
  }

  private take(byte: number): boolean {
    if (this.missing === 0) return byte < 0x80 || this.begin(byte)
    if (byte < this.least || byte > this.most) return false
    this.missing--
    this.least = 0x80
    this.most = 0xbf
    return true
  }

  /** Neither overlong forms nor surrogates nor anything beyond U+10FFFF: the second byte decides. */
  private begin(byte: number): boolean {
    if (byte < 0xc2 || byte > 0xf4) return false
    this.missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    this.least = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80
    this.most = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf
    return true
  }
}
