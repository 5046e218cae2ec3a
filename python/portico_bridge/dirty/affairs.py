"""What the arbiter is asked for itself: the stash, who its workers are, and more or fewer of them."""

import os

from .api import protocol, tlv
from .api.errors import DirtyError, DirtyProtocolError
from .stash import Tables


class Affairs:
    def __init__(self, crew):
        self.crew = crew
        self.tables = Tables(0)

    def answer(self, kind, payload):
        if kind == protocol.STASH:
            return self.tables.ask(payload)
        if kind == protocol.STATUS:
            return tlv.encode({'result': self.status()})
        if kind == protocol.MANAGE:
            return tlv.encode({'result': self.manage(protocol.content_of(payload))})
        raise DirtyProtocolError('a "%s" is no request' % protocol.NAMES[kind])

    def ensure_table(self, name):
        try:
            self.tables.ensure(name)
        except DirtyError as error:
            self.crew.arbiter.log('warn', error.message)

    def status(self):
        """As Gunicorn's arbiter tells it."""
        workers = [
            {
                'pid': one.pid,
                'age': one.age,
                'apps': list(one.apps),
                'booted': one.booted,
                'last_heartbeat': None,  # whoever hangs is found out by its task's time
            }
            for one in sorted(self.crew.members.values(), key=lambda one: one.age)
        ]
        apps = list(self.crew.limits)
        return {'arbiter_pid': os.getpid(), 'workers': workers, 'worker_count': len(workers), 'apps': apps}

    def manage(self, content):
        operation, count = content.get('op'), content.get('count', 1)
        count = max(1, count) if isinstance(count, int) else 1
        result = {'success': True, 'operation': 'add', 'requested': count}
        if operation == protocol.ADD:
            result['spawned'] = self.crew.add(count)
            if result['spawned'] == 0:
                result['reason'] = 'All apps have reached their worker limits'
        elif operation == protocol.REMOVE:
            result.update(operation='remove', removed=self.crew.remove(count))
        else:
            raise DirtyError('Unknown manage operation: %s' % str(operation)[:100])
        return dict(result, total_workers=len(self.crew.members), target_workers=self.crew.target)
