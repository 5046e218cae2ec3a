// One conversation with the server, and whether what came of it is what the client's bytes say.

import assert from 'node:assert/strict'
import type test from 'node:test'
import { Random } from '../../codec/h1/feeding.ts'
import { RawClient } from '../../helpers/index.ts'
import { MessageReader } from '../../helpers/message.ts'
import { echoOf } from './backends.ts'
import type { Backend, SeenRequest } from './backends.ts'
import { conversation } from './messages.ts'
import { readRequests } from './oracle.ts'
import type { Reading } from './oracle.ts'

const LAST = 'GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
/** How long it is watched whether something comes of what should lead to nothing. */
const WATCH_MS = 15

async function sendIn(client: RawClient, bytes: string, random: Random): Promise<void> {
  const manner = random.below(4)
  if (manner > 1) {
    await client.send(bytes).catch(() => {})
    return
  }
  const step = manner === 0 && bytes.length < 600 ? 1 : 1 + random.below(200)
  for (let at = 0; at < bytes.length && !client.ended; at += step) {
    client.socket.write(bytes.slice(at, at + step), 'latin1')
    await new Promise(setImmediate)
  }
}

interface Answers {
  readonly statuses: number[]
  readonly texts: string[]
  readonly whole: boolean
}

/** Of final answers; those to `reading`'s requests, then those of whatever ended them. */
function answersIn(received: Buffer, reading: Reading): Answers {
  const statuses: number[] = []
  const texts: string[] = []
  let rest: Buffer = received
  while (rest.length > 0) {
    // HTTP/0.9 has no heads.
    if (rest[0] === 60) {
      texts.push(rest.toString('latin1'))
      statuses.push(texts.at(-1)!.startsWith('<GET ') ? 200 : 400)
      break
    }
    const method =
      reading.requests[statuses.length]?.method ?? (/^(?:\r?\n)*HEAD /.test(reading.broken) ? 'HEAD' : 'GET')
    const reader = new MessageReader('response', method)
    rest = Buffer.from(reader.feed(rest))
    if (!reader.done && reader.state !== 'until-close') return { statuses, texts, whole: false }
    reader.end()
    const { status, body } = reader.response()
    if (status < 200) continue
    statuses.push(status)
    texts.push(body.toString('latin1'))
  }
  return { statuses, texts, whole: true }
}

/** Has the client what it may hope for? */
function isOver(client: RawClient, reading: Reading): boolean {
  return (
    client.ended ||
    (reading.end === 'incomplete' && answersIn(client.received, reading).statuses.length >= reading.requests.length)
  )
}

async function converse(
  port: number,
  bytes: string,
  reading: Reading,
  random: Random,
): Promise<{ received: Buffer; ended: boolean }> {
  const client = new RawClient(port)
  client.socket.on('error', () => {})
  await client.connected
  await sendIn(client, bytes, random)
  for (let waited = 0; !isOver(client, reading) && waited < 5000; waited++)
    await new Promise(resolve => setTimeout(resolve, 1))
  if (!client.ended) await new Promise(resolve => setTimeout(resolve, WATCH_MS))
  const { received, ended } = client
  client.destroy()
  return { received, ended }
}

function check(
  reading: Reading,
  seen: readonly SeenRequest[],
  { statuses, texts, whole }: Answers,
  ended: boolean,
): void {
  const { requests } = reading
  assert.ok(seen.length <= requests.length, `${seen.length} requests seen, ${requests.length} sent`)
  assert.ok(statuses.length <= requests.length + 1, `${statuses.length} answers`)
  let next = 0
  for (const [i, status] of statuses.entries()) {
    if (status !== 200) {
      assert.ok(status >= 400, statuses.join())
      continue
    }
    const { method, target, body } = seen[next++] ?? assert.fail('an answer of nobody')
    // What is behind a `#` some applications are not told.
    const wanted = requests[i]!
    const short = { ...wanted, target: wanted.target.replace(/#.*/s, '') }
    assert.deepEqual({ method, target, body }, target === short.target ? short : wanted)
    if (method !== 'HEAD') assert.equal(texts[i], echoOf(method, target, body))
  }
  assert.equal(next, seen.length, 'a request that was not answered')
  if (reading.end !== 'incomplete') assert.ok(ended, 'the connection stays open')
  assert.ok(whole)
}

/** Many conversations, one after the other. */
export async function converseAtRandom(
  t: test.TestContext,
  port: number,
  back: Pick<Backend, 'take' | 'faults'>,
  seed: number,
  cases: number,
): Promise<void> {
  const random = new Random(seed)
  let [sent, whole] = [0, 0]
  for (let i = 0; i < cases; i++) {
    const bytes = conversation(random, n => `/p/${i}.${n}`) + LAST
    const reading = readRequests(bytes)
    const { received, ended } = await converse(port, bytes, reading, random)
    const seen = back.take()
    try {
      assert.deepEqual(back.faults, [])
      check(reading, seen, answersIn(received, reading), ended)
    } catch (error) {
      const [asked, read, got] = [bytes, reading, seen].map(value => JSON.stringify(value))
      const answers = JSON.stringify(received.toString('latin1'))
      t.diagnostic(`${(error as Error).message} in case ${i}: ${asked}\n${read}\nseen ${got}\nreceived ${answers}`)
      throw error
    }
    sent += reading.requests.length
    whole += seen.length
  }
  t.diagnostic(`${whole} of ${sent} requests went on`)
}
