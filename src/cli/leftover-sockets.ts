// The files of Unix sockets whose servers have died: nobody listens there, and nobody can. nginx is stopped by them, Gunicorn's
// users are used to be not.

import { rmSync, statSync } from 'node:fs'
import net from 'node:net'
import type { Listening } from '../app/settings/configuration.ts'
import { within } from '../app/settings/configuration.ts'

/** Where somebody listens the socket stays: it is in use. */
export async function removeLeftovers(addresses: readonly Listening[], folder: string): Promise<void> {
  for (const address of addresses) {
    if (address.type !== 'unix') continue
    const path = within(folder, address.path)
    if (statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) continue
    if (await isDeserted(path)) rmSync(path, { force: true })
  }
}

function isDeserted(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', error => resolve((error as NodeJS.ErrnoException).code === 'ECONNREFUSED'))
  })
}
