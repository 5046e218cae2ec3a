"""What the hooks of a configuration file are given for tasks: an arbiter and workers, with the attributes that people use."""

import os

from ..hooks import Hooks, failure, is_own_log, set_title
from ..stand_in import Heartbeat


class ArbiterView:
    """The process that hands tasks out."""

    def __init__(self, cfg, log, socket_path):
        self.cfg = cfg
        self.log = log
        self.pid = os.getpid()
        self.ppid = os.getppid()
        self.socket_path = socket_path
        self.tmpdir = os.path.dirname(socket_path)
        self.pidfile = None
        self.alive = True
        self.num_workers = cfg.dirty_workers
        self.worker_age = 0
        self.workers = {}
        self.app_specs = {}
        self.app_worker_map = {}
        self.worker_app_map = {}


class WorkerView:
    def __init__(self, arbiter, age, app_paths):
        self.age = age
        self.pid = '[booting]'
        self.ppid = arbiter.pid
        self.app_paths = list(app_paths)
        self.cfg = arbiter.cfg
        self.log = arbiter.log
        self.socket_path = arbiter.socket_path
        self.booted = False
        self.aborted = False
        self.alive = True
        self.tmp = Heartbeat()
        self.apps = {}

    def __str__(self):
        return '<DirtyWorker %s>' % self.pid

    def notify(self):
        pass


class TaskHooks:
    """What the arbiter calls."""

    def __init__(self, settings, names):
        hooks = Hooks(settings, settings['gunicorn'], names)
        self.reload = hooks.reload
        self.functions = hooks.functions
        self.log = hooks.server.log
        self.name = hooks.server.cfg.proc_name
        self.view = ArbiterView(hooks.server.cfg, self.log, settings['socket'])

    def starting(self):
        """Raises LoadError when the hook does not want it."""
        set_title('dirty-arbiter')
        function = self.functions.get('on_dirty_starting')
        if function is None:
            return
        try:
            function(self.view)
        except Exception as error:
            raise failure('on_dirty_starting', error) from None

    def specs(self, limits):
        self.view.app_specs = {
            path: {'import_path': path, 'worker_count': limit, 'original_spec': path if limit is None else '%s:%d' % (path, limit)}
            for path, limit in limits.items()
        }

    def counted(self, number):
        self.view.num_workers = number

    def new_worker(self, age, app_paths):
        self.view.worker_age = age
        return WorkerHooks(self, WorkerView(self.view, age, app_paths))

    def forked(self, hooked, pid):
        worker = hooked.worker
        worker.pid = pid
        self.view.workers[pid] = worker
        self.view.worker_app_map[pid] = list(worker.app_paths)
        for path in worker.app_paths:
            self.view.app_worker_map.setdefault(path, set()).add(pid)
        self._call('dirty_post_fork', worker)

    def exited(self, pid):
        worker = self.view.workers.pop(pid, None)
        self.view.worker_app_map.pop(pid, None)
        for pids in self.view.app_worker_map.values():
            pids.discard(pid)
        if worker is not None:
            worker.alive = False
            self._call('dirty_worker_exit', worker)

    def _call(self, name, worker):
        function = self.functions.get(name)
        if function is None:
            return
        try:
            function(self.view, worker)
        except Exception:
            self.log.exception('%s failed', name)


class WorkerHooks:
    """What a worker calls, in its own process."""

    def __init__(self, hooks, worker):
        self.hooks = hooks
        self.worker = worker

    def forked(self):
        self.worker.pid = os.getpid()
        set_title('dirty-worker [%s]' % self.hooks.name)

    def loaded(self, apps):
        self.worker.apps = apps
        function = self.hooks.functions.get('dirty_worker_init')
        if function is not None:
            try:
                function(self.worker)
            except Exception as error:
                raise failure('dirty_worker_init', error) from None
        self.worker.booted = True

    def own_log(self):
        """Where errors go that a log configured in Python is to have; None: it is the server's."""
        return self.hooks.log if is_own_log(self.worker.cfg.values) else None
