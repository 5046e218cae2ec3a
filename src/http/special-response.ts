// The pages the server makes itself when there is nothing better to send (nginx's ngx_http_special_response.c).

import { escapeUri } from '../codec/h1/uri.ts'
import { reason } from '../codec/h1/write.ts'
import type { HttpRequest } from './request.ts'

export const CONTENT_TYPE_HTML = 'text/html'

/** Titles that differ from the status line's reason. */
const titles: Readonly<Record<number, string>> = {
  302: '302 Found',
  401: '401 Authorization Required',
  494: '400 Request Header Or Cookie Too Large',
  495: '400 The SSL certificate error',
  496: '400 No required SSL certificate was sent',
  497: '400 The plain HTTP request was sent to HTTPS port',
  498: '404 Not Found',
}

/** nginx has a page for no other status; the rest come with an empty body. */
const WITH_PAGE = new Set([301, 302, 303, 307, 308, 421, 429, 507])
for (let status = 400; status <= 416; status++) WITH_PAGE.add(status)
for (let status = 494; status <= 505; status++) if (status !== 499) WITH_PAGE.add(status)

const pages = new Map<string, Map<number, string>>()

/** The page for a status, nginx's own 494–498 included; '' for none. `product` stands at its foot. */
export function specialPage(status: number, product: string): string {
  let ofProduct = pages.get(product)
  if (ofProduct === undefined) {
    ofProduct = new Map()
    pages.set(product, ofProduct)
  }
  let page = ofProduct.get(status)
  if (page === undefined) {
    page = WITH_PAGE.has(status) ? compose(status, product) : ''
    ofProduct.set(status, page)
  }
  return page
}

function compose(status: number, product: string): string {
  const title = titles[status] ?? `${status} ${reason(status)}`
  const explains = status >= 494 && status <= 497
  const heading = explains ? '400 Bad Request' : title
  const detail = explains ? `<center>${title.slice(4)}</center>\r\n` : ''
  return (
    `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n` +
    `<center><h1>${heading}</h1></center>\r\n${detail}<hr><center>${product}</center>\r\n</body>\r\n</html>\r\n`
  )
}

/** Below 512 bytes, those browsers show pages of their own. */
export const MSIE_PADDING = '<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n'.repeat(6)

/** Does the client call itself Internet Explorer? (ngx_http_process_user_agent) */
export function isMsie(r: HttpRequest): boolean {
  const agent = r.header('user-agent') ?? ''
  const at = agent.indexOf('MSIE ')
  return at !== -1 && at + 7 < agent.length && !agent.includes('Opera')
}

export function wantsPadding(r: HttpRequest): boolean {
  const agent = r.header('user-agent')
  if (agent === null) return false
  return isMsie(r) || (agent.includes('Chrome/') && !agent.includes('Gecko/') && !agent.includes('Opera'))
}

/** msie_refresh: a redirect as a page, for browsers that lose the fragment otherwise. */
export function refreshPage(location: string): string {
  const url = escapeUri(location, 'refresh')
  return `<html><head><meta http-equiv="Refresh" content="0; URL=${url}"></head><body></body></html>\r\n`
}
