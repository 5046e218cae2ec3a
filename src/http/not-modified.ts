// Does the client have it already? Preconditions of a 200 response (RFC 9110, 13) as nginx's not-modified filter weighs
// them. Looked at before the head is sent, on `r.lastModified` and `r.etag`, so that another answer can be given instead.

import { parseHttpDate } from '../lib/http-date.ts'
import { LocationSlot } from './module.ts'
import type { HttpRequest } from './request.ts'

/** if_modified_since: a date that equals ours, or one not before it, or never. */
export type DateRule = 'off' | 'exact' | 'before'

/** A location's if_modified_since. */
export const dateRule = new LocationSlot<DateRule>()

/** Any of If-Match, If-None-Match, If-(Un)Modified-Since? Few requests have one, and looking for each takes longer. */
export function hasConditions(r: HttpRequest): boolean {
  const { names, count } = r.head
  for (let i = 0; i < count; i++) {
    const name = names[i]!
    if (name.charCodeAt(0) === 105 && name.charCodeAt(1) === 102 && name.charCodeAt(2) === 45) return true
  }
  return false
}

/** 0: send it. 304: not modified. 412: a precondition failed. */
export function checkPreconditions(r: HttpRequest, rule: DateRule): number {
  const unmodifiedSince = r.header('if-unmodified-since')
  if (unmodifiedSince !== null && isModifiedSince(r, unmodifiedSince)) return 412
  const match = r.header('if-match')
  if (match !== null && !matches(match, r.etag, 'strong')) return 412

  const since = r.header('if-modified-since')
  const noneMatch = r.header('if-none-match')
  if (since === null && noneMatch === null) return 0
  if (since !== null && changedSince(r, since, rule)) return 0
  if (noneMatch !== null && !matches(noneMatch, r.etag, 'weak')) return 0
  return 304
}

/** Without a date of ours nobody can say that it is unmodified. */
function isModifiedSince(r: HttpRequest, date: string): boolean {
  return r.lastModified === '' || parseHttpDate(date) < parseHttpDate(r.lastModified)
}

function changedSince(r: HttpRequest, date: string, rule: DateRule): boolean {
  if (r.lastModified === '' || rule === 'off') return true
  if (date === r.lastModified) return false
  const theirs = parseHttpDate(date)
  const ours = parseHttpDate(r.lastModified)
  return theirs !== ours && (rule === 'exact' || theirs < ours)
}

/** Is the tag among those of the list? `weak` compares without the mark for weakness (RFC 9110, 8.8.3.2). */
export function matches(list: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (list === '*') return true
  if (etag === '') return false
  const weak = comparison === 'weak'
  const tag = weak && etag.startsWith('W/') ? etag.slice(2) : etag
  if (list === tag) return true
  let at = 0
  while (at < list.length) {
    if (weak && list.startsWith('W/', at)) at += 2
    if (list.startsWith(tag, at)) {
      const after = skip(list, at + tag.length, ' \t')
      if (after === list.length || list[after] === ',') return true
    }
    const comma = list.indexOf(',', at)
    if (comma < 0) return false
    at = skip(list, comma, ' \t,')
  }
  return false
}

function skip(text: string, from: number, characters: string): number {
  let at = from
  while (at < text.length && characters.includes(text[at]!)) at++
  return at
}
