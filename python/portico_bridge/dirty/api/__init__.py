"""What `import gunicorn.dirty` gives where the package is not installed: the same names, on the same protocol.

It is loaded under that name (portico_bridge/stand_in.py); where Gunicorn's own is installed, that is used, and both talk to
the same arbiter.
"""

from . import stash
from .app import DirtyApp
from .client import (
    DirtyClient,
    close_dirty_client,
    close_dirty_client_async,
    get_dirty_client,
    get_dirty_client_async,
    set_dirty_socket_path,
)
from .errors import (
    DirtyAppError,
    DirtyAppNotFoundError,
    DirtyConnectionError,
    DirtyError,
    DirtyNoWorkersAvailableError,
    DirtyProtocolError,
    DirtyTimeoutError,
    DirtyWorkerError,
)
from .stash import StashClient, StashError, StashKeyNotFoundError, StashTable, StashTableNotFoundError

__all__ = [
    'DirtyApp',
    'DirtyAppError',
    'DirtyAppNotFoundError',
    'DirtyClient',
    'DirtyConnectionError',
    'DirtyError',
    'DirtyNoWorkersAvailableError',
    'DirtyProtocolError',
    'DirtyTimeoutError',
    'DirtyWorkerError',
    'StashClient',
    'StashError',
    'StashKeyNotFoundError',
    'StashTable',
    'StashTableNotFoundError',
    'close_dirty_client',
    'close_dirty_client_async',
    'get_dirty_client',
    'get_dirty_client_async',
    'set_dirty_socket_path',
    'stash',
]
