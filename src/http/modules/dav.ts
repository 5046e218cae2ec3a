// dav: files are put, deleted, copied and moved by clients (ngx_http_dav_module; the methods of RFC 4918 that need no
// properties). A file that is put is received completely before it takes its name, so no reader ever sees half of one.

import { stat, lstat, mkdir, unlink } from 'node:fs/promises'
import { HTTP, LOCATION, SERVER, type Conf, type Directive } from '../../config/directive.ts'
import { bitmask, flag, number } from '../../config/values.ts'
import { escapeUri } from '../../codec/h1/uri.ts'
import { NO_DATE, parseHttpDate } from '../../lib/http-date.ts'
import { errorText } from '../../lib/errno.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { deletePath, depthOf, failed, transfer } from '../files/dav-transfer.ts'
import { filePath } from '../files/document-root.ts'
import { bytesOf, folderMode, placeFile, type SystemError } from '../files/file-tree.ts'
import { DONE, httpModule, NEXT } from '../module.ts'
import { RUNS } from '../notes.ts'
import { respond, respondSpecial } from '../output.ts'
import { readRequestBody, storeRequestBody } from '../request-body.ts'
import type { HttpRequest } from '../request.ts'
import { mainOf } from '../subrequest.ts'

const everywhere = HTTP | SERVER | LOCATION

const OFF = 1
const bits = { PUT: 2, DELETE: 4, MKCOL: 8, COPY: 16, MOVE: 32 }
const bitOf: ReadonlyMap<string, number> = new Map(Object.entries(bits))

const SHIFTS: Readonly<Record<string, number>> = { user: 6, group: 3, all: 0 }

/** `user:rw group:r`: the permissions of what is made. Who puts a file may always read and write it, unless told otherwise. */
const access: Directive<number> = {
  in: everywhere,
  args: [1, 3],
  default: 0o600,
  parse(args, at) {
    let mode = 0
    let user = 0o600
    for (const word of args) {
      const [, who, rights] = /^(user|group|all):(rw|r)$/.exec(word) ?? at.fail(`invalid value "${word}"`)
      if (who === 'user') user = 0
      mode |= (rights === 'rw' ? 6 : 4) << SHIFTS[who!]!
    }
    return mode | user
  },
}

const directives = {
  dav_methods: bitmask(everywhere, { off: OFF, ...bits }, 0),
  create_full_put_path: flag(everywhere, false),
  min_delete_depth: number(everywhere, 0),
  dav_access: access,
}

type DavConf = Conf<typeof directives>

export const dav = httpModule({
  name: 'dav',
  directives,
  compile(conf, at) {
    if ((conf.dav_methods & ~OFF) !== 0) at.step('content', serve, conf, RUNS)
  },
})

function serve(r: HttpRequest, conf: DavConf): number {
  const { method } = r
  if (((bitOf.get(method) ?? 0) & conf.dav_methods) === 0) return NEXT
  if (method === 'PUT') return receive(r, conf)
  if (r.head.chunked || r.head.contentLength > 0) {
    r.log(
      ERR,
      `${method === 'COPY' || method === 'MOVE' ? 'COPY and MOVE with body are' : `${method} with body is`} unsupported`,
    )
    return 415
  }
  if (method === 'DELETE') return isDeepEnough(r, conf.min_delete_depth) ? answer(r, remove(r)) : 409
  return answer(r, method === 'MKCOL' ? makeFolder(r, conf) : transfer(r, conf.dav_access))
}

/** The work is done off the event loop; the request may have ended before it, and its head is still read then. */
function answer(r: HttpRequest, work: Promise<number>): number {
  mainOf(r).headShared = true
  void work.then(
    status => finish(r, status),
    error => {
      r.log(CRIT, `${r.method} failed (${errorText(error as SystemError)})`)
      finish(r, 500)
    },
  )
  return DONE
}

function finish(r: HttpRequest, status: number): void {
  if (r.done) return
  if (status < 300) respond(r, status, '', '')
  else respondSpecial(r, status)
}

/** 201: here it is. */
function created(r: HttpRequest): number {
  r.redirect = escapeUri(r.uri, 'uri')
  return 201
}

function receive(r: HttpRequest, conf: DavConf): number {
  if (r.uri.endsWith('/')) {
    r.log(ERR, 'cannot PUT to a collection')
    return 409
  }
  if (r.header('content-range') !== null) {
    r.log(ERR, 'PUT with range is unsupported')
    return 501
  }
  storeRequestBody(r)
  return readRequestBody(r, request => {
    const stored = request.body?.takeFile(request) ?? ''
    // If it could not be stored, the client has been told already.
    if (stored !== '') answer(request, put(request, conf, stored))
  })
}

async function put(r: HttpRequest, conf: DavConf, stored: string): Promise<number> {
  const path = filePath(r)
  let isNew = true
  try {
    const there = await stat(bytesOf(path))
    isNew = false
    if (there.isDirectory()) {
      r.log(ERR, `"${path}" could not be created (21: Is a directory)`)
      await discard(r, stored)
      return 409
    }
  } catch {
    // Nothing there yet, or what prevents us from looking will prevent the renaming, too.
  }
  const date = parseHttpDate(r.header('date') ?? '')
  const how = {
    mode: conf.dav_access,
    mtime: date === NO_DATE ? null : date,
    folderMode: conf.create_full_put_path ? folderMode(conf.dav_access) : 0,
  }
  if (await placeFile(r, stored, path, how)) return isNew ? created(r) : 204
  await discard(r, stored)
  return 500
}

async function discard(r: HttpRequest, stored: string): Promise<void> {
  try {
    await unlink(bytesOf(stored))
  } catch (error) {
    r.log(CRIT, `unlink() "${stored}" failed (${errorText(error as SystemError)})`)
  }
}

/** A slip should not take a whole tree with it. */
function isDeepEnough(r: HttpRequest, min: number): boolean {
  if (min === 0) return true
  let depth = 0
  for (let i = 0; i < r.uri.length; i++) {
    if (r.uri[i] === '/' && ++depth >= min && i + 1 < r.uri.length) return true
  }
  r.log(ERR, `insufficient URI depth:${depth} to DELETE`)
  return false
}

async function remove(r: HttpRequest): Promise<number> {
  const path = filePath(r)
  let isFolder: boolean
  try {
    isFolder = (await lstat(bytesOf(path))).isDirectory()
  } catch (error) {
    const { code } = error as SystemError
    return failed(r, error as SystemError, 'lstat()', path, code === 'ENOTDIR' ? 409 : 404)
  }
  if (isFolder && !r.uri.endsWith('/')) {
    r.log(ERR, `DELETE "${path}" failed (21: Is a directory)`)
    return 409
  }
  const depth = depthOf(r, isFolder ? 'infinity' : 0)
  if (depth !== 'infinity' && (isFolder || depth !== 0)) {
    r.log(ERR, `"Depth" header must be ${isFolder ? 'infinity' : '0 or infinity'}`)
    return 400
  }
  return deletePath(r, isFolder ? path.replace(/\/$/, '') : path, isFolder)
}

async function makeFolder(r: HttpRequest, conf: DavConf): Promise<number> {
  if (!r.uri.endsWith('/')) {
    r.log(ERR, 'MKCOL can create a collection only')
    return 409
  }
  const path = filePath(r).slice(0, -1)
  try {
    await mkdir(bytesOf(path), folderMode(conf.dav_access))
    return created(r)
  } catch (error) {
    return failed(r, error as SystemError, 'mkdir()', path, 409)
  }
}
