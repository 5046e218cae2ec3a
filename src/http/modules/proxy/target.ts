// Where a proxied request goes: fixed when the configuration is compiled, or found for each request if proxy_pass has
// variables.

import { Slot } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
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
}

const slot = new Slot<Target>()

export function targetOf(r: HttpRequest): Target | null {
  return slot.get(r)
}

export function setTarget(r: HttpRequest, target: Target): void {
  slot.set(r, target)
}

const HTTP_PORT = 80

/** The part behind `http://`; a string tells what is wrong. */
export function parsePass(url: string): UpstreamUrl | string {
  return parseUpstreamUrl(url, HTTP_PORT, true)
}

/** nginx's ngx_http_proxy_set_vars: a standard port is not part of the host. */
export function makeTarget(url: UpstreamUrl, group: Group, uri: string): Target {
  if (url.unix) return { group, hostHeader: 'localhost', port: '', uri }
  const standard = url.portText === '' || url.portText === String(HTTP_PORT)
  return {
    group,
    hostHeader: standard ? url.host : `${url.host}:${url.portText}`,
    port: standard ? String(HTTP_PORT) : url.portText,
    uri,
  }
}
