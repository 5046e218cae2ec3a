// Where a proxied request goes: fixed when the configuration is compiled, or found for each request if proxy_pass has
// variables.

import { Slot } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
import type { LocationRuntime } from '../../runtime.ts'
import type { Group } from '../../../upstream/group.ts'
import { parseUpstreamUrl } from '../../../upstream/address.ts'
import type { UpstreamUrl } from '../../../upstream/address.ts'

export interface Target {
  readonly group: Group
  /** $proxy_host and $proxy_port. */
  readonly hostHeader: string
  readonly port: string
  /** The URI part of proxy_pass, '' if there is none. */
  readonly uri: string
  readonly tls: boolean
}

const slot = new Slot<Target>()
const passedBy = new Slot<LocationRuntime>()

export function targetOf(r: HttpRequest): Target | null {
  return slot.get(r)
}

export function setTarget(r: HttpRequest, target: Target): void {
  slot.set(r, target)
  passedBy.set(r, r.location)
}

/** Null again when the request has been redirected to a location that passes nothing on. */
export function currentTarget(r: HttpRequest): Target | null {
  return passedBy.get(r) === r.location ? slot.get(r) : null
}

const HTTP_PORT = 80
const HTTPS_PORT = 443

/** `http://` or `https://` and what follows; null: it begins with neither. */
export function schemeOf(url: string): { readonly tls: boolean; readonly rest: string } | null {
  const scheme = /^http(s?):\/\//i.exec(url)
  return scheme === null ? null : { tls: scheme[1] !== '', rest: url.slice(scheme[0].length) }
}

/** The part behind the scheme; a string tells what is wrong. */
export function parsePass(url: string, tls: boolean): UpstreamUrl | string {
  return parseUpstreamUrl(url, tls ? HTTPS_PORT : HTTP_PORT, true)
}

/** nginx's ngx_http_proxy_set_vars: a standard port is not part of the host. */
export function makeTarget(url: UpstreamUrl, group: Group, uri: string, tls: boolean): Target {
  if (url.unix) return { group, hostHeader: 'localhost', port: '', uri, tls }
  const usual = String(tls ? HTTPS_PORT : HTTP_PORT)
  const standard = url.portText === '' || url.portText === usual
  return {
    group,
    hostHeader: standard ? url.host : `${url.host}:${url.portText}`,
    port: standard ? usual : url.portText,
    uri,
    tls,
  }
}
