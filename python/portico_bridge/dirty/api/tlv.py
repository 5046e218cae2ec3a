"""Values as bytes: a type, where it is needed a length or a count, then what there is. None, bool, int, float, bytes, str, list and dict.

    00 none          01 bool, one byte      05 int, 8 bytes      06 float, 8 bytes
    10 bytes         11 text in UTF-8       both a length in 4 bytes, then so many
    20 list          21 dict                both a count in 4 bytes, then the items or the names and values

All numbers are big-endian. Whatever the bytes are, they are a value or a DirtyProtocolError.
"""

import struct

from .errors import DirtyProtocolError

NONE, BOOL, INT, FLOAT, BYTES, TEXT, LIST, DICT = 0x00, 0x01, 0x05, 0x06, 0x10, 0x11, 0x20, 0x21

# A whole message has no more: who reads has it all in memory.
BYTES_MAX = 64 * 1024 * 1024
ITEMS_MAX = 1024 * 1024
# Lists in lists. Reading them recurs, and Python allows some hundred calls.
DEPTH_MAX = 200

_U32 = struct.Struct('>I')
_I64 = struct.Struct('>q')
_F64 = struct.Struct('>d')
_FIXED = {BOOL: 1, INT: 8, FLOAT: 8}


def encode(value):
    parts = []
    _write(value, parts.append, 0)
    return b''.join(parts)


def _write(value, add, depth):
    if value is None:
        add(b'\x00')
    elif isinstance(value, bool):
        add(b'\x01\x01' if value else b'\x01\x00')
    elif isinstance(value, int):
        try:
            add(b'\x05' + _I64.pack(value))
        except struct.error:
            raise DirtyProtocolError('an int of more than 64 bits cannot be sent') from None
    elif isinstance(value, float):
        add(b'\x06' + _F64.pack(value))
    elif isinstance(value, bytes):
        add(_head(BYTES, len(value), BYTES_MAX, 'bytes'))
        add(value)
    elif isinstance(value, str):
        try:
            data = value.encode()
        except UnicodeEncodeError as error:
            raise DirtyProtocolError('a text that has no form in UTF-8 cannot be sent: %s' % error) from None
        add(_head(TEXT, len(data), BYTES_MAX, 'a text'))
        add(data)
    elif isinstance(value, (list, tuple)):
        _deeper(depth)
        add(_head(LIST, len(value), ITEMS_MAX, 'a list'))
        for item in value:
            _write(item, add, depth + 1)
    elif isinstance(value, dict):
        _deeper(depth)
        add(_head(DICT, len(value), ITEMS_MAX, 'a dict'))
        for name, item in value.items():
            _write(name if isinstance(name, str) else str(name), add, depth + 1)
            _write(item, add, depth + 1)
    else:
        raise DirtyProtocolError('Unsupported type for TLV encoding: %s' % type(value).__name__)


def _head(kind, length, most, what):
    if length > most:
        raise DirtyProtocolError('%s of %d cannot be sent, the most is %d' % (what, length, most))
    return bytes((kind,)) + _U32.pack(length)


def _deeper(depth):
    if depth >= DEPTH_MAX:
        raise DirtyProtocolError('lists and dicts are nested too deeply, the most is %d' % DEPTH_MAX)


def decode(data):
    """The one value that these bytes are."""
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise DirtyProtocolError('%d bytes too many' % (len(data) - end), data[end:])
    return value


def _read(data, at, depth):
    kind, begin, end = _piece(data, at)
    if kind == NONE:
        return None, end
    if kind == BOOL:
        return data[begin] != 0, end
    if kind == INT:
        return _I64.unpack_from(data, begin)[0], end
    if kind == FLOAT:
        return _F64.unpack_from(data, begin)[0], end
    if kind == BYTES:
        return bytes(data[begin:end]), end
    if kind == TEXT:
        return _text(data[begin:end]), end
    _deeper(depth)
    count, at = end, begin
    if kind == LIST:
        items = []
        for _ in range(count):
            item, at = _read(data, at, depth + 1)
            items.append(item)
        return items, at
    found = {}
    for _ in range(count):
        name, at = _name(data, at)
        found[name], at = _read(data, at, depth + 1)
    return found, at


def _piece(data, at):
    """Type, begin and end of what has a length; of lists and dicts the count in place of the end."""
    if at >= len(data):
        raise DirtyProtocolError('the value is cut off')
    kind = data[at]
    at += 1
    if kind in (BYTES, TEXT, LIST, DICT):
        if at + 4 > len(data):
            raise DirtyProtocolError('a length is cut off', data[at - 1 :])
        number = _U32.unpack_from(data, at)[0]
        at += 4
        # Each item has a byte at least: no count makes room for more than was sent.
        if number > len(data) - at or (kind >= LIST and number > ITEMS_MAX):
            raise DirtyProtocolError('a length of %d is more than there is' % number, data[at - 5 :])
        return kind, at, number if kind >= LIST else at + number
    if kind != NONE and kind not in _FIXED:
        raise DirtyProtocolError('Unknown TLV type code: 0x%02x' % kind, data[at - 1 :])
    end = at + _FIXED.get(kind, 0)
    if end > len(data):
        raise DirtyProtocolError('a value is cut off', data[at - 1 :])
    return kind, at, end


def _name(data, at):
    kind, begin, end = _piece(data, at)
    if kind != TEXT:
        raise DirtyProtocolError('Dict key must be string, got type 0x%02x' % kind)
    return _text(data[begin:end]), end


def _text(data):
    try:
        return str(data, 'utf-8')
    except UnicodeDecodeError as error:
        raise DirtyProtocolError('Invalid UTF-8 in string: %s' % error, data) from None


def spans(data):
    """Where the values of a dict lie, by name: for who passes them on unread. They have been walked through, and are whole."""
    kind, at, count = _piece(data, 0)
    if kind != DICT:
        raise DirtyProtocolError('a message is a dict, not type 0x%02x' % kind)
    found = {}
    for _ in range(count):
        name, at = _name(data, at)
        end = _skip(data, at)
        found[name] = (at, end)
        at = end
    if at != len(data):
        raise DirtyProtocolError('%d bytes too many' % (len(data) - at), data[at:])
    return found


def _skip(data, at):
    """The end of a value. Without recursion: nothing is built, only counted how many values are still to come at each depth."""
    open_counts = [1]
    while open_counts:
        if open_counts[-1] == 0:
            open_counts.pop()
            continue
        open_counts[-1] -= 1
        kind, begin, end = _piece(data, at)
        if kind < LIST:
            at = end
            continue
        if len(open_counts) > DEPTH_MAX - 1:
            _deeper(DEPTH_MAX)
        at = begin
        open_counts.append(end * 2 if kind == DICT else end)
    return at
