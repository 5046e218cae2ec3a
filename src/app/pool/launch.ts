// How a pool's workers are brought about: the folder for their sockets, with the owners it needs, and what forks or starts them
// there.

import type { AppSettings } from '../app.ts'
import { NodeWorkers } from './node-workers.ts'
import { SocketDirectory, type Ids } from './socket-directory.ts'
import type { Output, Spawner, SpawnerEvents } from './spawner.ts'
import { lookUp } from './users.ts'
import { Zygote } from './zygote.ts'

export interface LaunchOptions {
  readonly settings: AppSettings
  /** Of the configuration, from 1; part of the sockets' names. */
  readonly generation: number
  /** How many threads will connect to each worker. */
  readonly frontThreads: number
  readonly output: Output
  /** Where the folder with the sockets is made; '' for the system's temporary folder. */
  readonly runDirectory: string
  /** Who the front runs as, and the workers too unless the settings name somebody; null: as this process does. */
  readonly front: { readonly user: string; readonly group: string } | null
  /** What `portico serve` adds to what the zygote is told. */
  readonly gunicorn?: object | null
  /** With `--reload`, for Node: further files to look at. Null: none is looked at. */
  readonly watch?: readonly string[] | null
  /** Resolves when the front knows what it has been told of workers until now. */
  heard?(): Promise<void>
}

export function makeDirectory({ settings, front, runDirectory }: LaunchOptions): SocketDirectory {
  const owner = ownerOf(settings, front)
  const frontIds = isRoot() && front !== null ? lookUp(front.user, front.group) : null
  return new SocketDirectory(runDirectory, owner, different(owner, frontIds), settings.name)
}

/** What is to be started by its start(). */
export function makeSpawner(options: LaunchOptions, socketDir: string, events: SpawnerEvents): Spawner {
  const { settings, generation, frontThreads, front, output, gunicorn = null, watch = null } = options
  const heard = (): Promise<void> => options.heard?.() ?? Promise.resolve()
  if (settings.kind === 'node') {
    const owner = ownerOf(settings, front)
    return new NodeWorkers({ settings, generation, socketDir, owner, output, watch, heard }, events)
  }
  const { user, group } = runsAs(settings, front)
  return new Zygote({ settings, generation, frontThreads, socketDir, user, group, output, gunicorn }, events)
}

const isRoot = (): boolean => process.getuid?.() === 0

/** '' is who this process runs as. */
export function runsAs(
  settings: AppSettings,
  front: LaunchOptions['front'],
): { readonly user: string; readonly group: string } {
  return settings.user !== '' ? settings : (front ?? { user: '', group: '' })
}

export function ownerOf(settings: AppSettings, front: LaunchOptions['front']): Ids | null {
  const { user, group } = runsAs(settings, front)
  return isRoot() && user !== '' ? lookUp(user, group) : null
}

/** The front's numbers where the sockets' owner is somebody else. Root may connect anywhere. */
function different(owner: Ids | null, front: Ids | null): Ids | null {
  if (front === null || front.uid === 0) return null
  return owner !== null && owner.uid === front.uid ? null : front
}
