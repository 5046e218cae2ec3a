// What is done as root for a front that will not be root: folders and log files it may write to, and the step down itself.

import {
  chmodSync,
  constants,
  fchmodSync,
  chownSync,
  closeSync,
  fstatSync,
  fchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
} from 'node:fs'
import { flushCompileCache, getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'
import { openForLog } from '../log/log-file.ts'
import { keepRights, leaveRawSockets } from './capabilities.ts'
import { allowCoreDump, limit, RLIMIT_CORE, RLIMIT_NOFILE, setNiceness } from './limits.ts'
import { failed, reason } from './system-error.ts'
import { nameless } from './users.ts'
import type { FrontSettings, User } from './plan.ts'

/** Makes a folder that only `user` may enter, as nginx makes its temporary ones. Throws an Error in nginx's words. */
export function provideFolder(path: string, user: User | null): void {
  const name = Buffer.from(path, 'latin1')
  attempt('mkdir()', path, () => makeFolders(path))
  if (user === null) return
  const { uid, mode } = attempt('stat()', path, () => statSync(name))
  if (uid !== user.uid) attempt('chown()', path, () => chownSync(name, user.uid, user.gid))
  if ((mode & 0o700) !== 0o700) attempt('chmod()', path, () => chmodSync(name, (mode & 0o7777) | 0o700))
}

/** Node's own way does not end where a folder takes no others, as /proc. */
export function makeFolders(path: string): void {
  const name = Buffer.from(path, 'latin1')
  const above = dirname(path)
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory() === true) return
  if (above !== path) makeFolders(above)
  try {
    mkdirSync(name, { mode: 0o700 })
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!statSync(name, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}

/** Makes a log file that `user` may append to; every thread opens it by its name. Devices are left as they are. */
export function provideLogFile(path: string, user: User | null): void {
  const fd = attempt('open()', path, () => openForLog(path))
  try {
    const status = fstatSync(fd)
    if (user === null || !status.isFile() || status.uid === user.uid) return
    attempt('chown()', path, () => fchownSync(fd, user.uid, user.gid))
  } finally {
    closeSync(fd)
  }
}

/** Node keeps compiled code in files that are their maker's alone. The threads of a front that is not root any more would make
 *  all of it anew, with the compiler in the memory of each. */
export function shareCompiledCode(folder: string | undefined): void {
  if (folder === undefined) return
  try {
    for (const name of readdirSync(folder)) {
      try {
        shareFile(`${folder}/${name}`)
      } catch {
        // a link, or gone
      }
    }
  } catch {
    // It is a cache: without it the threads take longer.
  }
}

/** Only what we have made ourselves: in a folder where others may write there could be a link to anything. */
function shareFile(path: string): void {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { mode, uid, nlink } = fstatSync(file)
    const isOurs = uid === process.geteuid!() && nlink === 1 && (mode & constants.S_IFMT) === constants.S_IFREG
    if (isOurs && (mode & 0o4) === 0) fchmodSync(file, 0o644)
  } finally {
    closeSync(file)
  }
}

function attempt<T>(call: string, path: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw new Error(failed(call, path, error), { cause: error })
  }
}

/** Root without its rights, as in a container, may stay who it is, with the groups it has. */
function become({ name, uid, gid }: User, keepsRawSockets: boolean): void {
  try {
    if (nameless(name) === null) call(`initgroups(${name}, ${gid})`, () => root.initgroups(name, gid))
    else call(`setgroups(${gid})`, () => process.setgroups!([gid]))
  } catch (error) {
    if (process.getuid!() !== uid || process.getgid!() !== gid) throw error
  }
  call(`setgid(${gid})`, () => process.setgid!(gid))
  // Who is not root now has nothing to keep.
  const keeps = keepsRawSockets && uid !== 0 && process.getuid!() === 0
  if (keeps) keepRights()
  call(`setuid(${uid})`, () => process.setuid!(uid))
  if (keeps) leaveRawSockets()
}

function call(words: string, act: () => void): void {
  try {
    act()
  } catch (error) {
    throw new Error(`${words} failed (${reason(error)})`, { cause: error })
  }
}

const root = process as unknown as { initgroups(user: string, group: number): void }

/** In the front's main thread; the C library sees to it that all threads of the process change. Throws if it may not. */
export function settle(
  { user, rawSockets, openFiles, coreSize, priority, workingDirectory }: FrontSettings,
  tell: (problem: string) => void,
) {
  const check = (call: string, refusal: string): void => {
    if (refusal !== '') tell(`${call} failed (${refusal})`)
  }
  if (priority !== 0) check(`setpriority(${priority})`, setNiceness(priority))
  if (openFiles > 0) check(`setrlimit(RLIMIT_NOFILE, ${openFiles})`, limit(RLIMIT_NOFILE, openFiles))
  if (coreSize !== null) check(`setrlimit(RLIMIT_CORE, ${coreSize})`, limit(RLIMIT_CORE, coreSize))
  if (user !== null) {
    flushCompileCache()
    shareCompiledCode(getCompileCacheDir())
    become(user, rawSockets)
    if (coreSize !== null && coreSize > 0) allowCoreDump()
  }
  if (workingDirectory !== null) {
    attempt('chdir()', workingDirectory, () => process.chdir(Buffer.from(workingDirectory, 'latin1').toString()))
  }
}
