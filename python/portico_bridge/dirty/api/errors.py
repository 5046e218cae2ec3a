"""What can go wrong with a task, as exceptions. They travel as a name, a message and details, and come out as the same class."""

# What a message or a traceback may take in a reply; more than this nobody reads.
TEXT_MAX = 64 * 1024
RAW_SHOWN = 100


class DirtyError(Exception):
    """The base of all; `details` is a dict."""

    fields = ()  # what of the details is an attribute too

    def __init__(self, message, details=None):
        super().__init__(message)
        self.message = message
        self.details = details or {}

    def __str__(self):
        return '%s: %s' % (self.message, self.details) if self.details else self.message

    def to_dict(self):
        return {'error_type': type(self).__name__, 'message': self.message, 'details': self.details}

    @classmethod
    def from_dict(cls, data):
        """Whatever was sent becomes an error: an unknown class is the base's, and nothing need be there."""
        kind = CLASSES.get(data.get('error_type'), DirtyError)
        error = kind.__new__(kind)
        details = data.get('details')
        DirtyError.__init__(error, data.get('message', 'Unknown error'), details if isinstance(details, dict) else None)
        for name in kind.fields:
            setattr(error, name, error.details.get(name))
        return error


class DirtyTimeoutError(DirtyError):
    """It took too long: for who asked, or for the pool."""

    fields = ('timeout',)

    def __init__(self, message='Operation timed out', timeout=None):
        super().__init__(message, known(timeout=timeout or None))
        self.timeout = timeout


class DirtyConnectionError(DirtyError):
    """The arbiter cannot be reached, or was lost."""

    fields = ('socket_path',)

    def __init__(self, message='Connection failed', socket_path=None):
        super().__init__(message, known(socket_path=socket_path or None))
        self.socket_path = socket_path


class DirtyWorkerError(DirtyError):
    """The worker that had the task died."""

    fields = ('worker_id', 'traceback')

    def __init__(self, message, worker_id=None, traceback=None):
        super().__init__(message, known(worker_id=worker_id, traceback=traceback or None))
        self.worker_id = worker_id
        self.traceback = traceback


class DirtyAppError(DirtyError):
    """The application raised."""

    fields = ('app_path', 'action', 'traceback')

    def __init__(self, message, app_path=None, action=None, traceback=None):
        super().__init__(message, known(app_path=app_path or None, action=action or None, traceback=traceback or None))
        self.app_path = app_path
        self.action = action
        self.traceback = traceback


class DirtyAppNotFoundError(DirtyAppError):
    """There is no such application."""

    def __init__(self, app_path):
        super().__init__('Dirty app not found: %s' % app_path, app_path=app_path)


class DirtyNoWorkersAvailableError(DirtyError):
    """No worker has that application, and none is about to."""

    fields = ('app_path',)

    def __init__(self, app_path, message=None):
        super().__init__(message or 'No workers available for app: %s' % app_path, {'app_path': app_path})
        self.app_path = app_path


class DirtyProtocolError(DirtyError):
    """What was sent is no message, or a value has no form in one."""

    def __init__(self, message='Protocol error', raw_data=None):
        if isinstance(raw_data, (bytes, bytearray, memoryview)):
            raw_data = bytes(raw_data[:RAW_SHOWN]).hex()
        super().__init__(message, known(raw_data=None if raw_data is None else str(raw_data)[: 2 * RAW_SHOWN]))


def known(**details):
    return {name: value for name, value in details.items() if value is not None}


CLASSES = {
    one.__name__: one
    for one in (
        DirtyError,
        DirtyTimeoutError,
        DirtyConnectionError,
        DirtyWorkerError,
        DirtyAppError,
        DirtyAppNotFoundError,
        DirtyNoWorkersAvailableError,
        DirtyProtocolError,
    )
}
