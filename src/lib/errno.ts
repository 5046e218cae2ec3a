// What failed in a system call, in the C library's words as nginx logs them: `2: No such file or directory`. Node's own
// texts differ in case and wording, and scripts that watch the log know nginx's.

import { getSystemErrorMap } from 'node:util'

const TEXTS: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EAGAIN: 'Resource temporarily unavailable',
  EBADF: 'Bad file descriptor',
  ECONNABORTED: 'Software caused connection abort',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EEXIST: 'File exists',
  EHOSTUNREACH: 'No route to host',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  EMFILE: 'Too many open files',
  ENAMETOOLONG: 'File name too long',
  ENETUNREACH: 'Network is unreachable',
  ENFILE: 'Too many open files in system',
  ENOENT: 'No such file or directory',
  ENOMEM: 'Cannot allocate memory',
  ENOSPC: 'No space left on device',
  ENOTCONN: 'Transport endpoint is not connected',
  ENOTDIR: 'Not a directory',
  ENXIO: 'No such device or address',
  EPERM: 'Operation not permitted',
  EPIPE: 'Broken pipe',
  EROFS: 'Read-only file system',
  ETIMEDOUT: 'Connection timed out',
}

/** `2: No such file or directory`, as it stands between nginx's parentheses. */
function errnoText(code: string, errno: number): string {
  return `${Math.abs(errno)}: ${TEXTS[code] ?? getSystemErrorMap().get(-Math.abs(errno))?.[1] ?? code}`
}

export function errorText(error: NodeJS.ErrnoException): string {
  return errnoText(error.code ?? error.message, error.errno ?? 0)
}

/** `write() failed (28: No space left on device)`; an error that is no system call's in its own words. */
export function failureText(error: NodeJS.ErrnoException): string {
  return error.syscall === undefined ? error.message : `${error.syscall}() failed (${errorText(error)})`
}

/** The call for a socket of our own that a connection has failed in; '': it is about the other end, or the network. */
export function ownCall({ code, syscall }: NodeJS.ErrnoException): 'bind' | 'socket' | '' {
  // libuv makes the socket as it binds or connects.
  if ((code === 'EMFILE' || code === 'ENFILE') && (syscall === 'bind' || syscall === 'connect')) return 'socket'
  return syscall === 'bind' ? 'bind' : ''
}
