// Fields behind the body of an application's response (ASGI's extension http.response.trailers); the worker has seen to it that the
// client takes them.

import { mayTrail } from '../../codec/h1/chunked.ts'
import type { HttpRequest, Trailers } from '../request.ts'

export class AppTrailers implements Trailers {
  sent: readonly string[] = []

  take(fields: readonly string[]): void {
    const sent: string[] = []
    for (let i = 0; i + 1 < fields.length; i += 2) {
      if (mayTrail(fields[i]!.toLowerCase())) sent.push(fields[i]!, fields[i + 1]!.trim())
    }
    this.sent = sent
  }

  fields(_r: HttpRequest): readonly string[] {
    return this.sent
  }
}
