import assert from 'node:assert/strict'
import test from 'node:test'
import { type Renewable, Renewals } from '../../src/cli/renewals.ts'

class Pool implements Renewable {
  readonly loaded: Promise<string>
  starts = 0
  stops = 0
  settle: (error: string) => void = () => {}
  /** It has ended. */
  end: () => void = () => {}
  private readonly ended = new Promise<void>(resolve => (this.end = resolve))

  constructor() {
    this.loaded = new Promise(resolve => (this.settle = resolve))
  }

  start(): void {
    this.starts++
  }

  stop(): Promise<void> {
    this.stops++
    this.settle('loading was broken off')
    return this.ended
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

function renewals(): { made: Pool[]; inUse: () => Pool; renewals: Renewals<Pool> } {
  const made: Pool[] = []
  let inUse = new Pool()
  const make = (): Pool => made[made.push(new Pool()) - 1]!
  const succeed = (old: Pool, fresh: Pool): void => {
    assert.equal(old, inUse)
    inUse = fresh
  }
  return { made, inUse: () => inUse, renewals: new Renewals(make, succeed) }
}

test('renewals: changes while one that is out of date goes are loaded once', async () => {
  const { made, inUse, renewals: them } = renewals()
  const old = inUse()
  them.changed(old)
  them.changed(old)
  await turn()
  // It has been told to go, and takes its time.
  assert.deepEqual([made.length, made[0]!.stops > 0], [1, true])
  them.changed(old)
  await turn()
  assert.equal(made.length, 1)
  made[0]!.end()
  await turn()
  assert.deepEqual([made.length, made[1]!.starts], [2, 1])
  made[1]!.settle('')
  await turn()
  assert.equal(inUse(), made[1])
  assert.deepEqual([them.fresh.size, made[1]!.stops], [0, 0])
})

test('renewals: one that is sent away in the moment it is ready takes nothing over', async () => {
  const { made, inUse, renewals: them } = renewals()
  const old = inUse()
  them.changed(old)
  made[0]!.settle('')
  them.changed(made[0]!)
  made[0]!.end()
  await turn()
  assert.equal(inUse(), old)
  made[1]!.settle('')
  await turn()
  assert.equal(inUse(), made[1])
})

test('renewals: what cannot be loaded leaves all as it was, until the next change', async () => {
  const { made, inUse, renewals: them } = renewals()
  const old = inUse()
  them.changed(old)
  made[0]!.settle('no such module')
  made[0]!.end()
  await turn()
  assert.deepEqual([inUse() === old, them.fresh.size, made.length], [true, 0, 1])
  them.changed(old)
  made[1]!.settle('')
  await turn()
  assert.equal(inUse(), made[1])
})

test('renewals: after the end nothing begins', async () => {
  const { made, inUse, renewals: them } = renewals()
  const old = inUse()
  them.changed(old)
  them.changed(old)
  assert.equal(them.stop().length, 1)
  made[0]!.end()
  await turn()
  assert.deepEqual([made.length, inUse()], [1, old])
})
