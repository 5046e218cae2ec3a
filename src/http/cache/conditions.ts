// What an upstream is asked with where its responses are cached: not the client's conditions and ranges, for the response is
// for others, too, but the cache's own (ngx_http_proxy_cache_headers).

import { Template } from '../../config/template.ts'

interface Written {
  readonly name: string
  readonly template: Template
  readonly ifNotEmpty: boolean
}

const CONDITIONS: readonly (readonly [name: string, text: string])[] = [
  ['If-Modified-Since', '$upstream_cache_last_modified'],
  ['If-Unmodified-Since', ''],
  ['If-None-Match', '$upstream_cache_etag'],
  ['If-Match', ''],
  ['Range', ''],
  ['If-Range', ''],
]

/** As fields of the head, but for those that the configuration sets itself. */
export function conditionFields(own: readonly { readonly name: string }[]): Written[] {
  return beside(own, name => name)
}

/** As parameters, `HTTP_IF_MODIFIED_SINCE`. */
export function conditionParams(own: readonly { readonly name: string }[]): Written[] {
  return beside(own, name => `HTTP_${name.toUpperCase().replaceAll('-', '_')}`)
}

function beside(own: readonly { readonly name: string }[], spell: (name: string) => string): Written[] {
  const set = new Set(own.map(({ name }) => name.toLowerCase()))
  return CONDITIONS.map(([name, text]) => ({
    name: spell(name),
    template: Template.builtIn(text),
    ifNotEmpty: true,
  })).filter(({ name }) => !set.has(name.toLowerCase()))
}
