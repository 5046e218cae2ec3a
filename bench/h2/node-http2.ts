// The smallest answer node:http2 can give, on sockets it is handed as a front of ours would hand them: what decision 0009
// compares with. Prints its port.

import { createServer, type ServerHttp2Stream } from 'node:http2'
import net from 'node:net'

const body = 'hello\n'
const http2 = createServer()
http2.on('stream', (stream: ServerHttp2Stream) => {
  stream.on('error', () => {})
  stream.respond({
    ':status': 200,
    server: 'node',
    date: new Date().toUTCString(),
    'content-type': 'text/plain',
    'content-length': body.length,
  })
  stream.end(body)
})
const server = net.createServer(socket => {
  socket.on('error', () => {})
  http2.emit('connection', socket)
})
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => console.log((server.address() as net.AddressInfo).port))
