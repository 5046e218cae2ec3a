// COPY and MOVE of WebDAV (RFC 4918, 9.8 and 9.9) as ngx_http_dav_module does them: which of their fields are taken, what may
// stand in whose place, and then the files. Answers are statuses.

import type { Stats } from 'node:fs'
import { lstat, mkdir, rmdir, unlink } from 'node:fs/promises'
import { errorText } from '../../lib/errno.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { filePath } from './document-root.ts'
import {
  bytesOf,
  copyFolder,
  copyWhole,
  emptyFolder,
  find,
  folderMode,
  permissions,
  placeFile,
  renamed,
  type SystemError,
} from './file-tree.ts'
import type { HttpRequest } from '../request.ts'
import { parseUnsafeUri } from '../unsafe-uri.ts'

/** The Depth field. */
export type Depth = 0 | 1 | 'infinity' | 'invalid'

export function depthOf(r: HttpRequest, fallback: Depth): Depth {
  const depth = r.header('depth')
  if (depth === null) return fallback
  if (depth === '0') return 0
  if (depth === '1') return 1
  if (depth === 'infinity') return depth
  r.log(ERR, `client sent invalid "Depth" header: "${depth}"`)
  return 'invalid'
}

/** A system call failed for the request's own file: the status that says so, and a line in the log (ngx_http_dav_error). */
export function failed(r: HttpRequest, error: SystemError, call: string, path: string, notFound: number): number {
  const [level, status] = weigh(error.code ?? '', notFound)
  r.log(level, `${call} "${path}" failed (${errorText(error)})`)
  return status
}

function weigh(code: string, notFound: number): readonly [level: number, status: number] {
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return [ERR, notFound]
  if (code === 'EACCES' || code === 'EPERM') return [ERR, 403]
  if (code === 'EEXIST') return [ERR, 405]
  return code === 'ENOSPC' ? [CRIT, 507] : [CRIT, 500]
}

/** Where to, and whether what is there may be overwritten. */
interface Order {
  /** Both are folders, written with a slash at their ends; paths here have none. */
  readonly isFolder: boolean
  readonly from: string
  readonly to: string
  /** As sent, for the log. */
  readonly destination: string
  readonly overwrite: boolean
}

/** @param access of folders that have to be made for a file that moves */
export async function transfer(r: HttpRequest, access: number): Promise<number> {
  const order = readOrder(r)
  if (typeof order === 'number') return order
  let call = order.to
  try {
    const target = await find(order.to)
    const refused = target === null ? 0 : refuseTarget(r, order, target)
    if (refused !== 0) return refused
    call = order.from + (order.isFolder ? '/' : '')
    const source = await lstat(bytesOf(call))
    if (!source.isDirectory()) return await transferFile(r, order, source, access)
    if (order.isFolder) return await transferFolder(r, order, source, target)
    r.log(ERR, `"${r.uri}" is collection`)
    return 400
  } catch (error) {
    return failed(r, error as SystemError, 'lstat()', call, 404)
  }
}

function readOrder(r: HttpRequest): Order | number {
  const destination = r.header('destination')
  if (destination === null) {
    r.log(ERR, 'client sent no "Destination" header')
    return 400
  }
  const path = destinationPath(r, destination)
  if (path === '') return 400
  const isFolder = r.uri.endsWith('/')
  if (isFolder !== destination.endsWith('/')) {
    r.log(
      ERR,
      `both URI "${r.uri}" and "Destination" URI "${destination}" should be either collections or non-collections`,
    )
    return 409
  }
  const { aliasLength } = r.location
  if (aliasLength > 0 && aliasLength !== Number.MAX_SAFE_INTEGER && path.length < aliasLength)
    return refuseDestination(r, destination)
  const overwrite = readDepth(r) ? readOverwrite(r) : null
  if (overwrite === null) return 400
  const order = { isFolder, from: pathOf(r, r.uri), to: pathOf(r, path), destination, overwrite }
  return isWithinItself(r, order) ? 403 : order
}

/** The destination's path on this very server, decoded; '' when it is none, which is logged. */
function destinationPath(r: HttpRequest, destination: string): string {
  let path = destination
  if (!destination.startsWith('/')) {
    if (r.host === '') {
      r.log(ERR, 'client sent no "Host" header')
      return ''
    }
    const scheme = r.stream.tls === null ? 'http://' : 'https://'
    if (!destination.startsWith(scheme)) return refuseDestination(r, destination, '')
    const slash = destination.indexOf('/', scheme.length + r.host.length)
    if (!destination.startsWith(r.host, scheme.length)) {
      r.log(ERR, `"Destination" URI "${destination}" is handled by different repository than the source URI`)
      return ''
    }
    if (slash === -1) return refuseDestination(r, destination, '')
    path = destination.slice(slash)
  }
  return parseUnsafeUri(r, path)?.uri ?? refuseDestination(r, destination, '')
}

function refuseDestination<T extends string | number = number>(r: HttpRequest, destination: string, answer?: T): T {
  r.log(ERR, `client sent invalid "Destination" header: "${destination}"`)
  return (answer ?? 400) as T
}

/** A copy may leave out what a folder holds; nothing else may be done by halves. */
function readDepth(r: HttpRequest): boolean {
  const depth = depthOf(r, 'infinity')
  if (depth === 'infinity' || (r.method === 'COPY' && depth === 0)) return true
  r.log(ERR, r.method === 'COPY' ? '"Depth" header must be 0 or infinity' : '"Depth" header must be infinity')
  return false
}

/** null: it says neither yes nor no. */
function readOverwrite(r: HttpRequest): boolean | null {
  const overwrite = r.header('overwrite')
  if (overwrite === null || overwrite === 'T' || overwrite === 't') return true
  if (overwrite === 'F' || overwrite === 'f') return false
  r.log(ERR, `client sent invalid "Overwrite" header: "${overwrite}"`)
  return null
}

/** Where the file for a URI is, without the slash at its end. */
function pathOf(r: HttpRequest, uri: string): string {
  const own = r.uri
  r.uri = uri
  const path = filePath(r).replace(/\/{2,}/g, '/')
  r.uri = own
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

function isWithinItself(r: HttpRequest, { isFolder, from, to, destination }: Order): boolean {
  if (from === to) {
    r.log(ERR, `both URI "${r.uri}" and "Destination" URI "${destination}" point to the same location`)
    return true
  }
  if (!isFolder || (!to.startsWith(`${from}/`) && !from.startsWith(`${to}/`))) return false
  r.log(ERR, `"${r.uri}" could not be ${r.method}ed to collection "${destination}"`)
  return true
}

/** 0: what is there may be replaced. */
function refuseTarget(r: HttpRequest, { isFolder, to, destination, overwrite }: Order, target: Stats): number {
  if (target.isDirectory() && !isFolder) {
    r.log(ERR, `"${r.uri}" could not be ${r.method}ed to collection "${destination}"`)
    return 409
  }
  if (overwrite) return 0
  r.log(ERR, `"${to}" could not be created (17: File exists)`)
  return 412
}

async function transferFile(r: HttpRequest, { from, to }: Order, source: Stats, access: number): Promise<number> {
  const how = { mode: 0, mtime: null, folderMode: folderMode(access) }
  const done = r.method === 'MOVE' ? await placeFile(r, from, to, how) : await copyWhole(r, from, to, source)
  return done ? 204 : 500
}

async function transferFolder(r: HttpRequest, order: Order, source: Stats, target: Stats | null): Promise<number> {
  const { from, to } = order
  if (target !== null) {
    const answer = await deletePath(r, to, target.isDirectory())
    if (answer !== 204) return answer
  }
  // If it cannot be, it is another file system, or there is a reason that the following attempt will tell.
  if (r.method === 'MOVE' && (await renamed(from, to)) === null) return 201
  try {
    await mkdir(bytesOf(to), permissions(source))
  } catch (error) {
    return failed(r, error as SystemError, 'mkdir()', to, 404)
  }
  if (!(await copyFolder(r, from, to))) return 500
  if (r.method === 'COPY') return 201
  const answer = await deletePath(r, from, true)
  return answer === 204 ? 201 : answer
}

/** Deletes a file, or a folder with all that is in it: 204, or the status that tells why not. */
export async function deletePath(r: HttpRequest, path: string, isFolder: boolean): Promise<number> {
  try {
    if (!isFolder) await unlink(bytesOf(path))
    else if (await emptyFolder(r, path)) await rmdir(bytesOf(path))
    else return 500
    return 204
  } catch (error) {
    return failed(r, error as SystemError, isFolder ? 'rmdir()' : 'unlink()', path, 404)
  }
}
