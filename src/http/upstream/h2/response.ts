// The head of one response that came over HTTP/2.

import { isToken } from '../../../codec/h1/fields.ts'
import { NAME_ODD, PSEUDO } from '../../../codec/h2/hpack-decoder.ts'
import type { FieldList } from '../../../codec/h2/hpack-decoder.ts'

export class H2Response {
  private readonly spelled: string[] = []
  names: readonly string[] = this.spelled
  private readonly texts: string[] = []
  values: readonly string[] = this.texts
  status = 0
  /** -1: not told. */
  contentLength = -1
  /** By RFC 9113, 6.5.2. */
  size = 0
  /** Nothing follows the head. */
  ends = false

  /** Takes a decoded head. @returns what is wrong with it */
  take(list: FieldList, ends: boolean): string {
    this.ends = ends
    this.size = list.size
    for (let i = 0; i < list.count; i++) {
      const name = list.names[i]!
      const value = list.values[i]!
      // HTTP/1 would have no name for it.
      if ((list.faults[i]! & (NAME_ODD | PSEUDO)) === NAME_ODD && !isToken(name)) continue
      const fault = name.startsWith(':') ? this.pseudo(name, value) : this.field(name, value)
      if (fault !== '') return fault
    }
    if (this.status === 0) return 'upstream sent no :status header'
    if (ends && this.status < 200) return 'upstream prematurely closed stream'
    return ''
  }

  originalName(i: number): string {
    return this.spelled[i]!
  }

  private pseudo(name: string, value: string): string {
    if (name !== ':status') return `upstream sent invalid header "${name}: ${value}"`
    if (this.status !== 0) return 'upstream sent duplicate :status header'
    if (!/^\d{3}$/.test(value)) return `upstream sent invalid :status "${value}"`
    this.status = Number(value)
    // Neither is there anything to continue nor another protocol to switch to.
    return this.status < 200 && this.status !== 103 ? `upstream sent unexpected :status "${value}"` : ''
  }

  private field(name: string, value: string): string {
    if (this.status === 0) return 'upstream sent no :status header'
    if (name === 'content-length') {
      const line = `"${name}: ${value}"`
      if (this.contentLength >= 0) {
        const before = `"${name}: ${this.texts[this.spelled.indexOf(name)]}"`
        return `upstream sent duplicate header line: ${line}, previous value: ${before}`
      }
      if (!/^\d{1,15}$/.test(value)) return `upstream sent invalid "Content-Length" header: ${line}`
      this.contentLength = Number(value)
    }
    this.spelled.push(name)
    this.texts.push(value)
    return ''
  }
}
