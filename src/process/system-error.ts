// System errors as nginx logs them: `open() "/x" failed (2: No such file or directory)`. Node's own texts differ from the C
// library's in case and words.

import { getSystemErrorMap } from 'node:util'

/** `2: No such file or directory` */
export function reason(error: unknown): string {
  const { code = '', errno = 0, message } = error as NodeJS.ErrnoException
  if (errno === 0) return message
  // Node's own calls have it negative, those for users and groups do not.
  const number = Math.abs(errno)
  return `${number}: ${texts[code] ?? getSystemErrorMap().get(-number)?.[1] ?? code}`
}

/** `open() "/x" failed (2: No such file or directory)` */
export function failed(call: string, what: string, error: unknown): string {
  return `${call} "${what}" failed (${reason(error)})`
}

/** What keeps the front from starting. Root has made log files for its user; whether that user may enter their folders shows there. */
export function startFailure(error: unknown): string {
  const { code, syscall, path } = error as NodeJS.ErrnoException
  if ((syscall !== 'open' && syscall !== 'stat') || path === undefined)
    return error instanceof Error ? error.message : String(error)
  const user =
    code === 'EACCES' ? `: the front runs as user ${process.geteuid!()}, who must be let into the folder` : ''
  return `${failed('open()', path, error)}${user}`
}

const texts: Readonly<Record<string, string>> = {
  EPERM: 'Operation not permitted',
  ENOENT: 'No such file or directory',
  ESRCH: 'No such process',
  EIO: 'Input/output error',
  EAGAIN: 'Resource temporarily unavailable',
  ENOMEM: 'Cannot allocate memory',
  EACCES: 'Permission denied',
  EEXIST: 'File exists',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  EINVAL: 'Invalid argument',
  ENFILE: 'Too many open files in system',
  EMFILE: 'Too many open files',
  ENOSPC: 'No space left on device',
  EROFS: 'Read-only file system',
  ENAMETOOLONG: 'File name too long',
  ELOOP: 'Too many levels of symbolic links',
  EAFNOSUPPORT: 'Address family not supported by protocol',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
}
