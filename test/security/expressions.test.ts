// No text holds the thread that reads it: neither against an expression of the configuration, nor against one of our own. The times
// allowed are a hundred times what is needed, and a tenth of what a search from each place anew would take.

import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { INCOMPLETE, MailCommand, readCommand, SMTP } from '../../src/codec/mail-command.ts'
import { compilePattern } from '../../src/lib/pcre/pattern.ts'
import { serveHttp } from '../helpers/http.ts'
import { atEnd, get } from '../helpers/index.ts'

/** Milliseconds of processor time. */
function costOf(act: () => void): number {
  const before = process.cpuUsage()
  act()
  return process.cpuUsage(before).user / 1000
}

for (const [pattern, text] of [
  ['/+$', `${'/'.repeat(60_000)}x`],
  ['(/+)$', `${'/'.repeat(60_000)}x`],
  ['[^/]+\\.php(/|$)', 'a'.repeat(60_000)],
  ['\\d+-\\d+$', `${'1'.repeat(60_000)}x`],
  ['(?:foo|bar|[a-z]+)-x', 'a'.repeat(60_000)],
] as const) {
  test(`an expression of the configuration is searched for in a moment: ${pattern}`, () => {
    const compiled = compilePattern(pattern, false)
    assert.equal(compiled.exec('nothing'), null)
    const cost = costOf(() => assert.equal(compiled.exec(text), null))
    assert.ok(cost < 1500, `${cost} ms`)
  })
}

test('a command of mail with many spaces is read in a moment', () => {
  const command = new MailCommand()
  const line = `NOOP${' '.repeat(100_000)}x\r\n`
  const cost = costOf(() => assert.notEqual(readCommand(line, SMTP, command), INCOMPLETE))
  assert.ok(cost < 1000, `${cost} ms`)
  assert.deepEqual([command.name, command.args, command.line], ['NOOP', ['x'], line.slice(0, -2)])
  readCommand(`NOOP a  \r\n`, SMTP, command)
  assert.equal(command.line, 'NOOP a')
})

test('what a FastCGI program says on stderr is logged in a moment', async t => {
  const record = (type: number, text: string): string =>
    String.fromCharCode(1, type, 0, 1, text.length >> 8, text.length & 255, 0, 0) + text
  const said = `a${'.'.repeat(60_000)}b`
  const answer = record(7, said) + record(6, 'Content-Type: a/b\r\n\r\nok') + record(6, '') + record(3, '\0'.repeat(8))
  const back = net.createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => void socket.end(answer, 'latin1'))
  })
  await new Promise<void>(resolve => back.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => back.close())
  const { port } = back.address() as net.AddressInfo
  const server = await serveHttp(t, `location / { fastcgi_pass 127.0.0.1:${port}; }`)
  const before = process.cpuUsage()
  assert.equal((await get(server.port, '/')).text, 'ok')
  const cost = process.cpuUsage(before).user / 1000
  assert.ok(cost < 1500, `${cost} ms`)
  assert.ok(server.errorLog().includes(`"${said}" while`))
})
