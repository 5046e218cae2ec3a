// proxy_pass_trailers: fields behind a chunked body go on, a response's to the client and a request's to the upstream. The
// decoder has left out those that may not stand there (RFC 9110, 6.5.1).

import { TRAILERS_FOLLOW } from '../../codec/h1/write.ts'
import type { HttpRequest, Trailers } from '../request.ts'
import type { Exchange } from './exchange.ts'

/** An upstream's, and those the location adds. */
export class PassedTrailers implements Trailers {
  sent: readonly string[] = []
  private readonly x: Exchange
  private readonly added: Trailers | null

  constructor(x: Exchange, added: Trailers | null) {
    this.x = x
    this.added = added
  }

  fields(r: HttpRequest): readonly string[] {
    const { trailers, settings } = this.x
    const fields: string[] = []
    for (let i = 0; i < trailers.length; i += 2) {
      if (!settings.hidden.has(trailers[i]!.toLowerCase())) fields.push(trailers[i]!, trailers[i + 1]!)
    }
    if (this.added !== null) fields.push(...this.added.fields(r))
    this.sent = fields
    return fields
  }
}

/** The end of a chunked request body, with those of the client's trailers that the location does not set itself. */
export function requestTrailers(trailers: readonly string[], own: ReadonlySet<string>): string {
  let text = TRAILERS_FOLLOW
  for (let i = 0; i < trailers.length; i += 2) {
    if (!own.has(trailers[i]!.toLowerCase())) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`
  }
  return `${text}\r\n`
}
