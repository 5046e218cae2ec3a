// The request target as applications know it.

import type { HttpRequest } from '../request.ts'

/** `http://host?args` asks for the root (RFC 9112, 3.2.1), as upstreams are told, too. */
export function rawUri({ unparsedUri }: HttpRequest): string {
  return unparsedUri.startsWith('?') ? `/${unparsedUri}` : unparsedUri
}
