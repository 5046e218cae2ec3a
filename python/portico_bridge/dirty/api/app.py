"""What an application for tasks is derived from, and how one is named."""

from .errors import DirtyAppError


class DirtyApp:
    """Made once in each worker that has it, and there for all tasks: what it keeps in itself stays.

    `workers` limits how many workers have one; None: all.
    """

    workers = None

    def init(self):
        """Loads what is needed, in the worker, before its first task."""

    def __call__(self, action, *args, **kwargs):
        """A task: by default the method of that name. A generator's values are a stream."""
        method = None if action.startswith('_') else getattr(self, action, None)
        if method is None:
            raise ValueError('Unknown action: %s' % action)
        return method(*args, **kwargs)

    def close(self):
        """The worker ends."""


def parse_dirty_app_spec(spec):
    """`module:Class` and `module:Class:N` as the first two and the number, None where there is none."""
    parts = spec.split(':')
    if len(parts) not in (2, 3) or not parts[0] or not parts[1]:
        raise DirtyAppError(
            'Invalid import path format: %s. Expected "module.path:ClassName" or "module.path:ClassName:N"' % spec,
            app_path=spec,
        )
    path = ':'.join(parts[:2])
    if len(parts) == 2:
        return path, None
    if not parts[2].isdecimal() or int(parts[2]) < 1:
        raise DirtyAppError('Invalid worker count in spec: %s. Expected 1 or more' % spec, app_path=spec)
    return path, int(parts[2])
