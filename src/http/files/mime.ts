// The media type of what a URI names: by extension, from the location's `types`, else its `default_type`
// (ngx_http_set_content_type).

import type { HttpRequest } from '../request.ts'

/** Content-Type for `r.uri`, unless who sent the client here has named one (X-Accel-Redirect). */
export function contentType(r: HttpRequest): string {
  if (r.contentType !== '') return r.contentType
  const { types, defaultType } = r.location
  const extension = uriExtension(r.uri)
  if (extension === '') return defaultType
  return types.get(extension) ?? types.get(extension.toLowerCase()) ?? defaultType
}

/** Behind the last dot of the last segment; a dot the segment begins with does not count (ngx_http_set_exten). */
export function uriExtension(uri: string): string {
  const dot = uri.lastIndexOf('.')
  if (dot < 2 || uri.charCodeAt(dot - 1) === 47) return ''
  return uri.indexOf('/', dot) < 0 ? uri.slice(dot + 1) : ''
}
