// What a filter that alters the body's bytes does to the head: the length is not known any more, parts of the original are
// not parts of this, and the entity tag holds only in the weak sense (RFC 9110, 8.8.1). And what kind of response it may
// look at.

import type { HttpRequest } from './request.ts'

/** For another form of the same content (ngx_http_weak_etag). */
export function reshape(r: HttpRequest): void {
  r.contentLength = -1
  dropField(r, 'accept-ranges')
  weakenTag(r)
}

export function weakenTag(r: HttpRequest): void {
  if (r.etag.startsWith('"')) r.etag = `W/${r.etag}`
  else if (!r.etag.startsWith('W/')) r.etag = ''
}

/** Takes a field off the response's head. */
export function dropField(r: HttpRequest, name: string): void {
  const { outNames, outValues } = r
  for (let i = outNames.length - 1; i >= 0; i--) {
    if (outNames[i]!.length !== name.length || outNames[i]!.toLowerCase() !== name) continue
    outNames.splice(i, 1)
    outValues.splice(i, 1)
  }
}

export function isEncoded(r: HttpRequest): boolean {
  const coding = r.responseHeader('content-encoding')
  return coding !== null && coding !== ''
}
