// 103 Early Hints of an application: its worker sends them ahead of the response, and they go on where `early_hints` says so.

import { takesEarlyHints } from '../early-hints.ts'
import type { HttpRequest } from '../request.ts'

/** @param fields a status, then names and values in turn, in which the worker has left nothing that is of one connection */
export function passHints(r: HttpRequest, fields: readonly string[]): void {
  if (!takesEarlyHints(r)) return
  let text = `HTTP/1.1 ${fields[0]}\r\n`
  for (let i = 1; i + 1 < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  r.stream.sendInterim(`${text}\r\n`)
}
