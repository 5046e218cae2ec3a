"""The tables that applications share. Values stay the bytes they came as: nobody here has to know what they are.

All of it has a limit in bytes, names and what Python needs around them counted.
"""

from fnmatch import fnmatch

from .api import protocol, tlv
from .api.errors import DirtyError, DirtyProtocolError

# What an entry and a table cost beside their bytes.
ENTRY = 256
TABLE = 512
# A pattern becomes a regular expression.
PATTERN_MAX = 1024

RESULT = b'\x21\x00\x00\x00\x01' + tlv.encode('result')
TRUE, FALSE, NOTHING = tlv.encode(True), tlv.encode(False), tlv.encode(None)


class Refused(DirtyError):
    """`name` is that of the class it becomes for who asked."""

    def __init__(self, name, message):
        super().__init__(message)
        self.name = name

    def to_dict(self):
        return {'error_type': self.name, 'message': self.message, 'details': {}}


class Tables:
    def __init__(self, limit):
        self.limit = limit
        self.size = 0
        self.tables = {}
        self.operations = {
            protocol.PUT: self._put,
            protocol.GET: self._get,
            protocol.DELETE: self._delete,
            protocol.KEYS: self._keys,
            protocol.CLEAR: self._clear,
            protocol.INFO: self._info,
            protocol.ENSURE: self._ensure_asked,
            protocol.DELETE_TABLE: self._delete_table,
            protocol.TABLES: self._tables,
            protocol.EXISTS: self._exists,
        }

    def ask(self, payload):
        """What is to be sent as the content of a RESPONSE. Raises what becomes an ERROR."""
        places = tlv.spans(payload)
        given = {name: tlv.decode(payload[slice(*place)]) for name, place in places.items() if name != 'value'}
        operation = self.operations.get(given.get('op')) if isinstance(given.get('op'), int) else None
        if operation is None:
            raise DirtyError('Unknown stash operation: %s' % str(given.get('op'))[:100])
        given['value'] = bytes(payload[slice(*places['value'])]) if 'value' in places else NOTHING
        table = given.get('table', '')
        if not isinstance(table, str):
            raise DirtyProtocolError('the name of a table is a text')
        key = given.get('key')
        if isinstance(key, (list, dict)):
            raise Refused('StashError', 'a list or a dict cannot be a key')
        return RESULT + operation(table, key, given)

    def ensure(self, table):
        found = self.tables.get(table)
        if found is None:
            self._grow(TABLE + len(table))
            found = self.tables[table] = {}
        return found

    def _grow(self, amount):
        if self.size + amount > self.limit:
            raise Refused('StashError', 'the stash is full: it may have %d bytes (dirty_stash_size)' % self.limit)
        self.size += amount

    def _put(self, table, key, given):
        entries, value = self.ensure(table), given['value']
        before = entries.get(key)
        cost = len(value) - len(before) if before is not None else self._cost(key, value)
        self._grow(cost)
        entries[key] = value
        return TRUE

    @staticmethod
    def _cost(key, value):
        return ENTRY + (len(key) if isinstance(key, (str, bytes)) else 8) + len(value)

    def _get(self, table, key, _):
        try:
            return self.tables[table][key]
        except KeyError:
            raise Refused('StashKeyNotFoundError', 'Key not found: %s' % str(key)[:1000]) from None

    def _delete(self, table, key, _):
        entries = self.tables.get(table, {})
        if key not in entries:
            return FALSE
        self.size -= self._cost(key, entries.pop(key))
        return TRUE

    def _keys(self, table, _, given):
        found, pattern = list(self.tables.get(table, ())), given.get('pattern')
        if isinstance(pattern, str) and pattern:
            if len(pattern) > PATTERN_MAX:
                raise Refused('StashError', 'a pattern may have %d characters' % PATTERN_MAX)
            found = [key for key in found if fnmatch(str(key), pattern)]
        return tlv.encode(found)

    def _clear(self, table, _key, _):
        entries = self.tables.get(table)
        if entries is not None:
            self.size -= sum(self._cost(key, value) for key, value in entries.items())
            entries.clear()
        return TRUE

    def _info(self, table, _key, _):
        if table not in self.tables:
            raise Refused('StashTableNotFoundError', 'Table not found: %s' % table[:1000])
        return tlv.encode({'size': len(self.tables[table]), 'table': table})

    def _ensure_asked(self, table, _key, _):
        self.ensure(table)
        return TRUE

    def _delete_table(self, table, key, given):
        if table not in self.tables:
            return FALSE
        self._clear(table, key, given)
        del self.tables[table]
        self.size -= TABLE + len(table)
        return TRUE

    def _tables(self, _table, _key, _):
        return tlv.encode(list(self.tables))

    def _exists(self, table, key, given):
        if table not in self.tables:
            return FALSE
        return TRUE if 'key' not in given or key in self.tables[table] else FALSE
