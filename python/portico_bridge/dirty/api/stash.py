"""Tables that all workers share, kept by the arbiter: `stash.put('table', 'key', value)`. They are gone when it ends."""

import socket
import threading

from . import protocol
from .connection import Wires, next_number, outcome, socket_path
from .errors import DirtyError


class StashError(DirtyError):
    """It could not be done."""


class StashTableNotFoundError(StashError):
    def __init__(self, table_name):
        super().__init__('Stash table not found: %s' % table_name)
        self.table_name = table_name


class StashKeyNotFoundError(StashError):
    def __init__(self, table_name, key):
        super().__init__('Key not found in %s: %s' % (table_name, key))
        self.table_name = table_name
        self.key = key


class StashClient:
    """May be used by several threads at a time."""

    def __init__(self, socket_path, timeout=30.0):
        self.socket_path = socket_path
        self.timeout = timeout
        self._wires = Wires(socket_path, timeout)

    def put(self, table, key, value):
        self._ask(protocol.PUT, table, key=key, value=value)

    def get(self, table, key, default=None):
        try:
            return self._ask(protocol.GET, table, key=key)
        except StashKeyNotFoundError:
            return default

    def delete(self, table, key):
        return self._ask(protocol.DELETE, table, key=key)

    def keys(self, table, pattern=None):
        return self._ask(protocol.KEYS, table, pattern=pattern)

    def clear(self, table):
        self._ask(protocol.CLEAR, table)

    def info(self, table):
        return self._ask(protocol.INFO, table)

    def ensure(self, table):
        self._ask(protocol.ENSURE, table)

    def exists(self, table, key=None):
        return self._ask(protocol.EXISTS, table, key=key)

    def delete_table(self, table):
        self._ask(protocol.DELETE_TABLE, table)

    def tables(self):
        return self._ask(protocol.TABLES, '')

    def table(self, name):
        return StashTable(self, name)

    def close(self):
        self._wires.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _ask(self, operation, table, **given):
        number = next_number()
        content = {'op': operation, 'table': table}
        content.update((name, value) for name, value in given.items() if value is not None)
        deadline = self._wires.deadline()
        wire = None
        try:
            wire = self._wires.begin(protocol.message(protocol.STASH, number, content), deadline)
            kind, answer = wire.receive(number, deadline)
        except BaseException as error:
            if wire is not None:
                wire.close()
            if isinstance(error, socket.timeout):
                raise StashError('Stash operation failed: no answer in %s s' % self.timeout) from error
            if isinstance(error, (OSError, DirtyError)):
                raise StashError('Stash operation failed: %s' % error) from error
            raise
        self._wires.give_back(wire)
        return self._outcome(kind, answer, table, given.get('key'))

    @staticmethod
    def _outcome(kind, answer, table, key):
        error = answer.get('error') if kind == protocol.ERROR else None
        if not isinstance(error, dict):
            return outcome(kind, answer)
        name = error.get('error_type')
        if name == 'StashTableNotFoundError':
            raise StashTableNotFoundError(table)
        if name == 'StashKeyNotFoundError':
            raise StashKeyNotFoundError(table, key)
        raise StashError(error.get('message', 'Unknown error'))


class StashTable:
    """A table as a dict."""

    def __init__(self, client, name):
        self._client = client
        self.name = name

    def __getitem__(self, key):
        try:
            return self._client._ask(protocol.GET, self.name, key=key)
        except StashKeyNotFoundError:
            raise KeyError(key) from None

    def __setitem__(self, key, value):
        self._client.put(self.name, key, value)

    def __delitem__(self, key):
        if not self._client.delete(self.name, key):
            raise KeyError(key)

    def __contains__(self, key):
        return self._client.exists(self.name, key)

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return self._client.info(self.name)['size']

    def get(self, key, default=None):
        return self._client.get(self.name, key, default)

    def keys(self, pattern=None):
        return self._client.keys(self.name, pattern)

    def clear(self):
        self._client.clear(self.name)

    def items(self):
        for key in self.keys():
            yield key, self.get(key)

    def values(self):
        for key in self.keys():
            yield self.get(key)


_of_thread = threading.local()
_path = None


def set_stash_socket_path(path):
    global _path
    _path = path


def get_stash_socket_path():
    path = socket_path(_path)
    if path is None:
        raise StashError('Stash socket path not configured. Make sure dirty_workers > 0 and dirty_apps are configured.')
    return path


def _client():
    client = getattr(_of_thread, 'client', None)
    if client is None:
        client = _of_thread.client = StashClient(get_stash_socket_path())
    return client


def put(table, key, value):
    _client().put(table, key, value)


def get(table, key, default=None):
    return _client().get(table, key, default)


def delete(table, key):
    return _client().delete(table, key)


def keys(table, pattern=None):
    return _client().keys(table, pattern)


def clear(table):
    _client().clear(table)


def info(table):
    return _client().info(table)


def ensure(table):
    _client().ensure(table)


def exists(table, key=None):
    return _client().exists(table, key)


def delete_table(table):
    _client().delete_table(table)


def tables():
    return _client().tables()


def table(name):
    return _client().table(name)
