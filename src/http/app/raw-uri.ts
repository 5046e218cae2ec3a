// The request target as applications know it.

import type { HttpRequest } from '../request.ts'

/** `http://host?args` asks for the root (RFC 9112, 3.2.1), as upstreams are told, too. */
export function rawUri({ unparsedUri }: HttpRequest): string {
  return unparsedUri.startsWith('?') ? `/${unparsedUri}` : unparsedUri
}

/** The same for Gunicorn's users, who with raw_requests get what was asked for: `http://host/path` or `host:443`, too. */
export function rawTarget(r: HttpRequest): string {
  const { head } = r
  return head.hostInTarget && r.server.limits.raw && r.unparsedUri === head.path ? head.target : rawUri(r)
}

/** What a body's chunks were before they were chunks (raw_requests); empty: what they are now. */
export function codingsBefore(coding: string): string {
  if (!coding.includes(',')) return ''
  return coding
    .split(',')
    .map(name => name.trim())
    .slice(0, -1)
    .filter(name => name.toLowerCase() !== 'identity')
    .join(', ')
}
