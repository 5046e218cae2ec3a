"""An SCGI responder for tests: it prints its port and tells each request what it got."""

import socket


def read_netstring(stream):
    digits = b''
    while (c := stream.read(1)) != b':':
        digits += c
    data = stream.read(int(digits))
    return data, stream.read(1) == b','


def serve(connection):
    stream = connection.makefile('rb')
    data, closed = read_netstring(stream)
    parts = data.split(b'\0')
    headers = list(zip(parts[0:-1:2], parts[1::2]))
    size = int(dict(headers)[b'CONTENT_LENGTH'])
    body = stream.read(size)
    path = dict(headers).get(b'PATH', b'/')
    if path == b'/http':
        connection.sendall(b'HTTP/1.1 203 Told\r\nContent-Length: 2\r\n\r\nok')
        return
    told = b''.join(name + b'=' + value + b'\n' for name, value in headers)
    tail = f'{closed} {len(body)} {sum(body) % 65521}'.encode()
    connection.sendall(b'Status: 202 Taken\nX-First: ' + headers[0][0] + b'\n\n' + told + tail)


def main():
    listener = socket.create_server(('127.0.0.1', 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        try:
            serve(connection)
        finally:
            connection.close()


main()
