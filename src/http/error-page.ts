// error_page: what a refusal is answered with instead of the built-in page: another URI of ours, a named location, or a
// redirect elsewhere (ngx_http_send_error_page).

import type { Directive, Site } from '../config/directive.ts'
import { HTTP, IF_IN_LOCATION, LOCATION, SERVER } from '../config/directive.ts'
import { Template } from '../config/template.ts'
import { internalRedirect, namedLocation } from './internal-redirect.ts'
import type { Value } from './module.ts'
import { redirectTo, respondRedirect } from './output.ts'
import { resume } from './phases.ts'
import type { HttpRequest } from './request.ts'

/** `=` or `=code`; the refusal's own status without it. */
const OWN_STATUS = -1
const STATUS_OF_PAGE = 0

export interface ErrorPageRule {
  readonly status: number
  readonly overwrite: number
  readonly target: Template
}

export const errorPage: Directive<readonly ErrorPageRule[]> = {
  in: HTTP | SERVER | LOCATION | IF_IN_LOCATION,
  args: [2, Infinity],
  default: [],
  repeatable: true,
  parse(args, at, soFar = []) {
    const target = Template.parse(args.at(-1)!, at)
    const response = args.at(-2)!
    const overwrites = response.startsWith('=')
    if (overwrites && args.length === 2) at.fail(`invalid value "${response}"`)
    const overwrite = overwrites ? responseOf(response, at) : OWN_STATUS
    const codes = args.slice(0, overwrites ? -2 : -1)
    return [...soFar, ...codes.map(code => ({ ...ruleFor(code, overwrite, at), target }))]
  },
}

function responseOf(word: string, at: Site): number {
  if (word === '=') return STATUS_OF_PAGE
  if (!/^=\d{1,9}$/.test(word)) at.fail(`invalid value "${word}"`)
  return Number(word.slice(1))
}

function ruleFor(code: string, overwrite: number, at: Site): { status: number; overwrite: number } {
  const status = Number(code)
  if (!/^\d+$/.test(code) || status === 499) at.fail(`invalid value "${code}"`)
  if (status < 300 || status > 599) at.fail(`value "${code}" must be between 300 and 599`)
  // 494 to 497 are nginx's own names for kinds of 400.
  return { status, overwrite: overwrite === OWN_STATUS && status >= 494 && status <= 497 ? 400 : overwrite }
}

interface ErrorPage {
  readonly overwrite: number
  readonly target: Value
  /** Of a path without variables, parted from its arguments. */
  readonly path: string
  readonly args: string
  readonly hasArgs: boolean
}

export type ErrorPages = ReadonlyMap<number, ErrorPage>

/** By status, the first rule of each; null for none. */
export function compileErrorPages(
  rules: readonly ErrorPageRule[],
  value: (template: Template) => Value,
): ErrorPages | null {
  if (rules.length === 0) return null
  const pages = new Map<number, ErrorPage>()
  for (const { status, overwrite, target } of rules) {
    if (pages.has(status)) continue
    const { constant } = target
    const cut = constant === null ? -1 : constant.indexOf('?')
    const path = constant === null || cut === -1 ? (constant ?? '') : constant.slice(0, cut)
    const args = cut === -1 ? '' : constant!.slice(cut + 1)
    pages.set(status, { overwrite, target: value(target), path, args, hasArgs: cut !== -1 })
  }
  return pages
}

/** Goes where error_page says. False: it says nothing about this status, or is not to be asked (any more). */
export function followErrorPage(r: HttpRequest, status: number): boolean {
  const { errorPages, recursiveErrorPages } = r.location
  if (errorPages === null || r.inErrorPage || r.uriChanges === 0) return false
  // As in nginx, a status without a page uses up the one error page there is, too.
  if (!recursiveErrorPages) r.inErrorPage = true
  const page = errorPages.get(status)
  if (page === undefined) return false
  follow(r, page)
  return true
}

function follow(r: HttpRequest, page: ErrorPage): void {
  if (page.overwrite !== OWN_STATUS) r.errorStatus = page.overwrite
  const target = page.target.constant ?? page.target.get(r)
  if (target.startsWith('@')) resume(r, namedLocation(r, target))
  else if (!target.startsWith('/')) redirectElsewhere(r, page.overwrite, target)
  else {
    if (r.method !== 'HEAD') r.method = 'GET'
    const cut = page.target.constant === null ? target.indexOf('?') : -1
    if (cut !== -1) resume(r, internalRedirect(r, target.slice(0, cut), target.slice(cut + 1), true))
    else if (page.target.constant === null) resume(r, internalRedirect(r, target, '', false))
    else resume(r, internalRedirect(r, page.path, page.args, page.hasArgs))
  }
}

function redirectElsewhere(r: HttpRequest, overwrite: number, url: string): void {
  const isRedirect = (overwrite >= 301 && overwrite <= 303) || overwrite === 307 || overwrite === 308
  if (!isRedirect) r.errorStatus = 302
  redirectTo(r, url)
  if (url === '') r.addHeader('Location', '')
  respondRedirect(r)
}

/** Is a response of that status to be thrown away for an error page (proxy_intercept_errors and its like)? */
export function interceptsError(r: HttpRequest, status: number): boolean {
  const { errorPages } = r.location
  return errorPages !== null && errorPages.has(status)
}
