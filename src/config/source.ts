// Where configuration text comes from: the file system, or a bundle of what another process read from it.
// Text and paths are latin1 strings, one character per byte.

import { readFileSync } from 'node:fs'
import { getSystemErrorMap } from 'node:util'
import { glob } from './glob.ts'
import { ConfigError } from './errors.ts'

export interface Source {
  /** Throws ConfigError, in nginx's words and without a place, if the file cannot be read. */
  read(path: string): string
  /** The existing paths that match, sorted; none is no error. */
  glob(pattern: string): string[]
  /** A file that the configuration only names (certificates, keys), or a text that tells why it cannot be read. */
  readData(path: string): DataFile
}

export interface DataFile {
  readonly text: string
  /** '' or the C library's words, with its number: `No such file or directory`, 2. */
  readonly error: string
  readonly errno: number
}

/** All that parsing the configuration again needs; plain data, to be sent to a process that may not read the files. */
export interface Bundle {
  readonly files: readonly (readonly [path: string, text: string])[]
  readonly globs: readonly (readonly [pattern: string, paths: readonly string[]])[]
  /** Never shown: there are private keys among them. */
  readonly data?: readonly (readonly [path: string, file: DataFile])[]
}

/** Reads files, each once, and remembers them in order of first use. */
export class FileSource implements Source {
  private readonly files = new Map<string, string>()
  private readonly globs = new Map<string, string[]>()
  private readonly data = new Map<string, DataFile>()

  read(path: string): string {
    return once(this.files, path, readText)
  }

  glob(pattern: string): string[] {
    return once(this.globs, pattern, glob)
  }

  readData(path: string): DataFile {
    return once(this.data, path, readDataFile)
  }

  bundle(): Bundle {
    return { files: [...this.files], globs: [...this.globs], data: [...this.data] }
  }
}

function once<T>(known: Map<string, T>, name: string, read: (name: string) => T): T {
  let found = known.get(name)
  if (found === undefined) {
    found = read(name)
    known.set(name, found)
  }
  return found
}

export class BundleSource implements Source {
  private readonly files: ReadonlyMap<string, string>
  private readonly globs: ReadonlyMap<string, readonly string[]>
  private readonly data: ReadonlyMap<string, DataFile>

  constructor(bundle: Bundle) {
    this.files = new Map(bundle.files)
    this.data = new Map(bundle.data ?? [])
    this.globs = new Map(bundle.globs)
  }

  read(path: string): string {
    return this.files.get(path) ?? failOpen(path, 'ENOENT', -2)
  }

  glob(pattern: string): string[] {
    return [...(this.globs.get(pattern) ?? [])]
  }

  readData(path: string): DataFile {
    return this.data.get(path) ?? { text: '', error: errorTexts.ENOENT!, errno: 2 }
  }
}

function readText(path: string): string {
  try {
    return readFileSync(Buffer.from(path, 'latin1'), 'latin1')
  } catch (error) {
    if (path.includes('\0')) return failOpen(path, 'ENOENT', -2)
    const { code = '', errno = 0 } = error as NodeJS.ErrnoException
    return failOpen(path, code, errno)
  }
}

/** Certificates are text; whatever else is in such a file survives as latin1. */
export function readDataFile(path: string): DataFile {
  try {
    return { text: readFileSync(Buffer.from(path, 'latin1'), 'latin1'), error: '', errno: 0 }
  } catch (problem) {
    const { code = '', errno = 0 } = problem as NodeJS.ErrnoException
    return { text: '', error: errorText(code, errno), errno: -errno }
  }
}

function failOpen(path: string, code: string, errno: number): never {
  // A folder can be opened, and only then not be read.
  const call = code === 'EISDIR' ? 'pread()' : 'open()'
  throw new ConfigError(`${call} "${path}" failed (${-errno}: ${errorText(code, errno)})`)
}

function errorText(code: string, errno: number): string {
  return errorTexts[code] ?? getSystemErrorMap().get(errno)?.[1] ?? code
}

/** The C library's texts, which nginx prints, for what happens when files are opened; Node's differ in case and words. */
const errorTexts: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  ENOTDIR: 'Not a directory',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  ENAMETOOLONG: 'File name too long',
  EMFILE: 'Too many open files',
  ENFILE: 'Too many open files in system',
  EIO: 'Input/output error',
}
