import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import test from 'node:test'
import { get } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

/** How many descriptors of this process lead there. */
function openOnes(path: string): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      // The one that reads the folder.
      return false
    }
  }).length
}

test('a log that cannot be written to, its disk being full, takes no descriptor for each line', async t => {
  const server = await serveHttp(
    t,
    `root /dev; set $name full;
     location / { access_log /dev/$name combined; return 204; }
     location /kept { access_log /dev/$name combined; open_log_file_cache max=2 min_uses=3; return 204; }`,
  )
  for (const [path, kept] of [
    ['/', 0],
    ['/kept', 1],
  ] as const) {
    for (let i = 0; i < 5; i++) await get(server.port, path)
    assert.equal(openOnes('/dev/full'), kept, path)
  }
  assert.match(server.errorLog(), /\[crit\] .*write\(\) "\/dev\/full" failed \(28: No space left on device\)/)
})
