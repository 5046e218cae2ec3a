"""A FastCGI responder for tests, which Python's library has none of. It prints its port and serves each connection
in a thread; what it answers is asked for by PATH in the parameters (see answer())."""

import itertools
import socket
import struct
import threading

BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7


def read_exactly(stream, size):
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def read_record(stream):
    _version, kind, _number, length, padding, _ = struct.unpack('>BBHHBB', read_exactly(stream, 8))
    content = read_exactly(stream, length)
    read_exactly(stream, padding)
    return kind, content


def read_length(data, at):
    if data[at] < 128:
        return data[at], at + 1
    return struct.unpack('>I', data[at : at + 4])[0] & 0x7FFFFFFF, at + 4


def pairs(data):
    found, at = [], 0
    while at < len(data):
        name, at = read_length(data, at)
        value, at = read_length(data, at)
        found.append((data[at : at + name].decode('latin-1'), data[at + name : at + name + value].decode('latin-1')))
        at += name + value
    return found


def record(kind, content, padding=0):
    return struct.pack('>BBHHBB', 1, kind, 1, len(content), padding, 0) + content + b'\0' * padding


def answer(params, body, stdin_records):
    """All that is sent for a request."""
    path = dict(params).get('PATH', '/')
    end = record(STDOUT, b'') + record(END, b'\0' * 8)
    if path == '/params':
        text = ''.join(f'{name}={value}\n' for name, value in params).encode('latin-1')
        return record(STDOUT, b'Content-Type: text/x\r\n\r\n' + text, 3) + end
    if path == '/body':
        text = f'{len(body)} {sum(body) % 65521} {stdin_records}'.encode()
        return record(STDOUT, b'Status: 201 Made\nX-Own: yes\n\n') + record(STDOUT, text) + end
    if path == '/split':
        head = b'Status: 404 Lost\r\nX-Long: ' + b'v' * 300 + b'\r\n\r\nbody'
        return b''.join(record(STDOUT, head[i : i + 7], i % 5) for i in range(0, len(head), 7)) + end
    if path == '/stderr':
        return record(STDERR, b'a warning.\n') + record(STDOUT, b'\nfine') + record(STDERR, b'behind it') + end
    if path == '/fatal':
        return record(STDERR, b'PHP Fatal error') + record(STDOUT, b'\nbroken') + end
    if path == '/location':
        return record(STDOUT, b'Location: /elsewhere\n\ngo') + end
    if path == '/accel':
        return record(STDOUT, b'X-Accel-Redirect: /inner\nX-Other: no\nSet-Cookie: a=b\n\n') + end
    if path == '/short':
        return record(STDOUT, b'Content-Length: 100\n\nshort') + end
    if path == '/long':
        return record(STDOUT, b'Content-Length: 4\n\nlonger than that') + end
    if path == '/big':
        part = b'0123456789abcdef' * 2000
        return record(STDOUT, b'\n') + b''.join(record(STDOUT, part, 8) for _ in range(50)) + end
    if path == '/status':
        return record(STDOUT, b'Status: none\n\n') + end
    if path == '/empty':
        return record(STDOUT, b'') + record(END, b'\0' * 8)
    if path == '/type':
        return record(11, b'')
    return record(STDOUT, b'Content-Type: text/plain\n\n' + path.encode('latin-1')) + end


def serve(connection, number):
    stream = connection.makefile('rb')
    while True:
        keep, params, body, stdin_records = False, b'', b'', 0
        while True:
            kind, content = read_record(stream)
            if kind == BEGIN:
                keep = content[2] & 1 == 1
            elif kind == PARAMS:
                params += content
            elif kind == STDIN and content:
                body += content
                stdin_records += 1
            elif kind == STDIN:
                break
        connection.sendall(answer(pairs(params) + [('CONNECTION', str(number))], body, stdin_records))
        if not keep:
            return


def handle(connection, number):
    try:
        serve(connection, number)
    except (EOFError, ConnectionError):
        pass
    finally:
        connection.close()


def main():
    listener = socket.create_server(('127.0.0.1', 0))
    print(listener.getsockname()[1], flush=True)
    for number in itertools.count():
        connection, _ = listener.accept()
        threading.Thread(target=handle, args=(connection, number), daemon=True).start()


main()
