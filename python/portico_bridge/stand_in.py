"""What hooks and logger classes are given in place of Gunicorn's own objects: the configuration, the arbiter and a worker, with the
attributes that people use. No behaviour of theirs is here, but what a hook may ask for.
"""

import os
import signal
import sys
import types

from .stand_in_request import GUNICORN_NAME, Request, Response

GUNICORN_VERSION = '26.1.0'


def provide_gunicorn():
    """A module `gunicorn` for logger classes that build on its own, where the package is not installed."""
    import importlib.util

    if 'gunicorn' in sys.modules:
        return
    found = importlib.util.find_spec('gunicorn')
    if found is None or isinstance(found.loader, StandInLoader):
        sys.modules['gunicorn'], sys.modules['gunicorn.glogging'] = gunicorn_modules()


def gunicorn_modules():
    from . import logger

    package = types.ModuleType('gunicorn', 'A stand-in for the package, which is not installed.')
    package.__version__ = GUNICORN_VERSION
    package.version_info = tuple(int(part) for part in GUNICORN_VERSION.split('.'))
    package.SERVER = GUNICORN_NAME
    package.SERVER_SOFTWARE = 'gunicorn/' + GUNICORN_VERSION
    package.__path__ = []
    glogging = types.ModuleType('gunicorn.glogging', package.__doc__)
    glogging.Logger = logger.Logger
    glogging.CONFIG_DEFAULTS = logger.CONFIG_DEFAULTS
    glogging.SafeAtoms = logger.SafeAtoms
    package.glogging = glogging
    return package, glogging


def offer_dirty():
    """`import gunicorn.dirty` finds ours wherever it would find nothing: no package, or one before it had that."""
    if not any(isinstance(one, DirtyFinder) for one in sys.meta_path):
        sys.meta_path.append(DirtyFinder())


class StandInLoader:
    """Loads `gunicorn` itself."""

    def create_module(self, spec):
        package, glogging = gunicorn_modules()
        sys.modules['gunicorn.glogging'] = glogging
        return package

    def exec_module(self, module):
        pass


# Where those names are in the package that files import for their annotations, and for what they derive from them.
NAMED = {
    'gunicorn.arbiter': {'Arbiter': 'Server'},
    'gunicorn.config': {'Config': 'Config'},
    'gunicorn.http': {'Request': 'Request'},
    'gunicorn.http.message': {'Request': 'Request'},
    'gunicorn.http.wsgi': {'Response': 'Response'},
    'gunicorn.instrument': {},
    'gunicorn.instrument.statsd': {'Statsd': 'StatsdLogger'},
    'gunicorn.workers': {},
    'gunicorn.workers.base': {'Worker': 'Worker'},
    'gunicorn.workers.sync': {'SyncWorker': 'SyncWorker'},
    'gunicorn.workers.gthread': {'ThreadWorker': 'ThreadWorker'},
    'gunicorn.workers.ggevent': {'GeventWorker': 'GeventWorker'},
    'gunicorn.workers.gasgi': {'ASGIWorker': 'ASGIWorker'},
}


class NamedLoader:
    def create_module(self, spec):
        return None

    def exec_module(self, module):
        for name, ours in NAMED[module.__name__].items():
            if ours in globals():
                setattr(module, name, globals()[ours])
            else:
                from .statsd_logger import StatsdLogger

                setattr(module, name, StatsdLogger)


class DirtyFinder:
    """The last one to be asked."""

    def find_spec(self, name, path=None, target=None):
        from importlib.machinery import ModuleSpec
        from importlib.util import spec_from_file_location

        if name == 'gunicorn':
            return ModuleSpec(name, StandInLoader(), is_package=True)
        if name in NAMED:
            return ModuleSpec(name, NamedLoader(), is_package=True)
        if name != 'gunicorn.dirty' and not name.startswith('gunicorn.dirty.'):
            return None
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'dirty', 'api')
        if name == 'gunicorn.dirty':
            return spec_from_file_location(name, os.path.join(folder, '__init__.py'), submodule_search_locations=[folder])
        return None


class Setting:
    """One of `cfg.settings`."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def get(self):
        return self.value


class Config:
    """`cfg`: a setting for each attribute, as it has come out of all sources."""

    def __init__(self, values):
        self.__dict__['values'] = values
        self.__dict__['env_orig'] = dict(os.environ)

    def __getattr__(self, name):
        try:
            return self.__dict__['values'][name]
        except KeyError:
            raise AttributeError('No configuration setting for: %s' % name) from None

    def __setattr__(self, name, value):
        self.set(name, value)

    def __str__(self):
        width = max(map(len, self.values))
        return '\n'.join('%-*s = %s' % (width, name, self.values[name]) for name in sorted(self.values))

    def set(self, name, value):
        if name not in self.values:
            raise AttributeError('No configuration setting for: %s' % name)
        self.values[name] = value

    @property
    def settings(self):
        return {name: Setting(name, value) for name, value in self.values.items()}

    @property
    def env(self):
        return dict(entry.split('=', 1) for entry in self.values['raw_env'])

    @property
    def address(self):
        return [parse_address(bind) for bind in self.values['bind']]

    @property
    def worker_class_str(self):
        kind = self.values['worker_class']
        return 'gthread' if kind == 'sync' and self.values['threads'] > 1 else kind

    @property
    def proc_name(self):
        return self.values['proc_name'] or self.values['default_proc_name']

    @property
    def is_ssl(self):
        return bool(self.values['certfile'] or self.values['keyfile'])

    @property
    def ssl_options(self):
        return {name: self.values[name] for name in SSL_OPTIONS}

    @property
    def statsd_host(self):
        """None, a path, or a host and port."""
        place = self.values['statsd_host']
        return place if place is None else parse_address(place)

    @property
    def uid(self):
        return os.geteuid()

    @property
    def gid(self):
        return os.getegid()

    # Numbers, however they were named.
    user = uid
    group = gid


SSL_OPTIONS = ('keyfile', 'certfile', 'ssl_version', 'cert_reqs', 'ca_certs')
SSL_OPTIONS += ('suppress_ragged_eofs', 'do_handshake_on_connect', 'ciphers')


def parse_address(text):
    """Gunicorn's form of it: a path, a descriptor's number, or host and port."""
    if text.startswith('unix:'):
        return text[5:][2:] if text[5:].startswith('//') else text[5:]
    if text.startswith('fd://'):
        return int(text[5:])
    host, _, port = text.rpartition(':')
    return host.strip('[]'), int(port)


class Application:
    """`server.app` and `worker.app`."""

    def __init__(self, cfg, name, kind, paste_global):
        self.cfg = cfg
        self.app_uri = name
        self.kind = kind
        self.paste_global = paste_global
        self.callable = None

    def wsgi(self):
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def load(self):
        from .loader import load

        return load(self.app_uri, self.kind, lambda notice: None, self.paste_global)


class Listener:
    """One of `server.LISTENERS`, by its name: the front has the socket itself."""

    def __init__(self, address, scheme):
        self.cfg_addr = address
        self.scheme = scheme

    @property
    def sock(self):
        return self

    @property
    def family(self):
        import socket

        if isinstance(self.cfg_addr, str):
            return socket.AF_UNIX
        return socket.AF_INET6 if ':' in self.cfg_addr[0] else socket.AF_INET

    def getsockname(self):
        return self.cfg_addr

    def fileno(self):
        return -1

    def setsockopt(self, *_arguments):
        pass

    def close(self):
        pass

    def __str__(self):
        if isinstance(self.cfg_addr, str):
            return 'unix:' + self.cfg_addr
        host, port = self.cfg_addr
        return '%s://%s:%d' % (self.scheme, '[%s]' % host if ':' in host else host, port)


class Server:
    """The arbiter. Its process is the master, which signals find; what hooks do happens in the zygote."""

    # By these a worker's exit code ends the server.
    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4

    def __init__(self, cfg, log, app, workers, master):
        self.cfg = cfg
        self.log = log
        self.app = app
        self.pid = master
        self.process = os.getpid()  # where the hooks of the arbiter are called
        self.address = cfg.address
        self.num_workers = workers
        self.timeout = cfg.timeout
        self.proc_name = cfg.proc_name
        self.worker_class = cfg.worker_class
        self.worker_age = 0
        self.master_pid = 0
        self.reexec_pid = 0
        self.master_name = 'Master'
        self.systemd = False
        self.pidfile = None
        scheme = 'https' if cfg.is_ssl else 'http'
        self.LISTENERS = [Listener(address, scheme) for address in cfg.address if not isinstance(address, int)]
        self.WORKERS = {}
        self.START_CTX = {'args': list(sys.argv), 'cwd': os.getcwd(), 0: sys.executable}

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def stop(self, graceful=True):
        os.kill(self.pid, signal.SIGTERM if graceful else signal.SIGQUIT)

    def halt(self, reason=None, exit_status=0):
        if reason is not None:
            (self.log.error if exit_status else self.log.info)('Reason: %s', reason)
        if self.process == os.getpid():
            raise SystemExit(exit_status)
        self.stop()

    def reexec(self):
        os.kill(self.pid, signal.SIGUSR2)

    def kill_worker(self, pid, number):
        os.kill(pid, number)

    def kill_workers(self, number):
        for pid in list(self.WORKERS):
            os.kill(pid, number)

    def wakeup(self):
        pass


class Heartbeat:
    """`worker.tmp`: nobody looks at a file here, unless a hook does."""

    def __init__(self):
        self.file = None

    def notify(self):
        pass

    def last_update(self):
        from time import monotonic

        return monotonic()

    def fileno(self):
        if self.file is None:
            from tempfile import TemporaryFile

            self.file = TemporaryFile()
        return self.file.fileno()

    def close(self):
        if self.file is not None:
            self.file.close()


class Worker:
    """A worker, in the zygote and in its own process. `alive = False` there lets it finish and be replaced."""

    def __init__(self, server, age):
        self.age = age
        self.pid = '[booting]'
        self.ppid = server.pid
        self.sockets = server.LISTENERS
        self.app = server.app
        self.cfg = server.cfg
        self.log = server.log
        self.timeout = server.cfg.timeout / 2  # as often its heartbeat is due
        self.booted = False
        self.aborted = False
        self.reloader = None
        self.nr = 0
        self.max_requests = server.cfg.max_requests or sys.maxsize
        self.tmp = Heartbeat()
        self.wsgi = None
        self.leave = None  # in its own process: what makes it go
        self._alive = True

    def __str__(self):
        return '<Worker %s>' % self.pid

    @property
    def alive(self):
        return self._alive

    @alive.setter
    def alive(self, value):
        self._alive = value
        if not value and self.leave is not None:
            self.leave()

    def notify(self):
        pass

    def handle_exit(self, _number=None, _frame=None):
        self.alive = False

    handle_quit = handle_abort = handle_exit


class SyncWorker(Worker):
    pass


class ThreadWorker(Worker):
    pass


class GeventWorker(Worker):
    pass


class ASGIWorker(Worker):
    pass


KINDS = {'sync': SyncWorker, 'threads': ThreadWorker, 'gevent': GeventWorker, 'asgi': ASGIWorker}
for place, names in NAMED.items():
    # What a file derives its own class from is known by these names (src/app/settings/serving.ts).
    if place.startswith('gunicorn.workers.') and place != 'gunicorn.workers.base':
        for one in names.values():
            globals()[one].__module__ = place
