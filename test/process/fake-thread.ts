// A front thread that answers every connection with its generation, index and how many connections all threads have had;
// the topic `crash` makes the thread of that index throw, `data: 'broken'` keeps it from starting.

import net from 'node:net'
import { threadId } from 'node:worker_threads'
import type { ThreadOrder } from '../../src/process/messages.ts'
import type { TopicMessage } from '../../src/process/plan.ts'
import { runThread } from '../../src/process/thread.ts'

const servers: net.Server[] = []
const heard: unknown[] = []
let index = -1

runThread({
  async start(order: ThreadOrder, send: (content: TopicMessage) => void): Promise<void> {
    if (order.data === 'broken') throw new Error('this data is broken')
    index = order.thread
    const counter = new Int32Array(new Map(order.memory).get('counter') ?? new SharedArrayBuffer(4))
    for (const [, fd] of order.descriptors) {
      const server = net.createServer(socket => {
        const answer = { threadId, index, generation: order.generation, count: Atomics.add(counter, 0, 1), heard }
        socket.end(JSON.stringify(answer))
      })
      servers.push(server)
      await new Promise<void>(resolve => server.listen({ fd }, resolve))
    }
    send({ topic: 'hello', message: index })
  },
  retire(_grace, onIdle) {
    for (const server of servers) server.close()
    onIdle()
  },
  stop() {},
  reopen() {},
  receive({ topic, message }) {
    heard.push(message)
    if (topic === 'crash' && message === index) throw new Error('crashed as told')
  },
})
