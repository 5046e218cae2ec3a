"""Messages between those who want tasks done, the arbiter and its workers: 16 bytes of head, then a dict of values (tlv.py).

    "GD"   u8 version 1   u8 type   u32 length of what follows   u64 number of the request     (big-endian)

REQUEST is answered with RESPONSE or ERROR, or with CHUNKs and END. STASH, STATUS and MANAGE are the arbiter's own affair.
"""

import struct

from . import tlv
from .errors import DirtyProtocolError

MAGIC = b'GD'
VERSION = 1
HEAD = struct.Struct('>2sBBIQ')
HEADER_SIZE = HEAD.size
MAX_MESSAGE_SIZE = tlv.BYTES_MAX
EMPTY = b'\x21\x00\x00\x00\x00'

REQUEST, RESPONSE, ERROR, CHUNK, END = 1, 2, 3, 4, 5
STASH, STATUS, MANAGE = 0x10, 0x11, 0x12
NAMES = {
    REQUEST: 'request',
    RESPONSE: 'response',
    ERROR: 'error',
    CHUNK: 'chunk',
    END: 'end',
    STASH: 'stash',
    STATUS: 'status',
    MANAGE: 'manage',
}

PUT, GET, DELETE, KEYS, CLEAR, INFO, ENSURE, DELETE_TABLE, TABLES, EXISTS = range(1, 11)
ADD, REMOVE = 1, 2

NUMBER_MAX = 2**64


def message(kind, number, content=None):
    """`content` None: there is none, as with END."""
    return framed(kind, number, b'' if content is None else tlv.encode(content))


def framed(kind, number, payload):
    if len(payload) > MAX_MESSAGE_SIZE:
        raise DirtyProtocolError('Message too large: %d bytes (max: %d)' % (len(payload), MAX_MESSAGE_SIZE))
    return HEAD.pack(MAGIC, VERSION, kind, len(payload), number) + payload


def error_message(number, error):
    return message(ERROR, number, {'error': error.to_dict()})


def read_head(data):
    """Type, number and length of what follows."""
    magic, version, kind, length, number = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise DirtyProtocolError('Invalid magic: %r, expected %r' % (magic, MAGIC), data[:HEADER_SIZE])
    if version != VERSION:
        raise DirtyProtocolError('Unsupported protocol version: %d' % version, data[:HEADER_SIZE])
    if kind not in NAMES:
        raise DirtyProtocolError('Unknown message type: 0x%02x' % kind, data[:HEADER_SIZE])
    if length > MAX_MESSAGE_SIZE:
        raise DirtyProtocolError('Message too large: %d bytes (max: %d)' % (length, MAX_MESSAGE_SIZE))
    return kind, number, length


def content_of(payload):
    content = tlv.decode(payload) if payload else {}
    if not isinstance(content, dict):
        raise DirtyProtocolError('a message is a dict, not %s' % type(content).__name__)
    return content
