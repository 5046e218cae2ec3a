"""The hooks of a configuration file, and what else `portico serve` has in Python: loggers, `cfg`, names of processes.

The file is run in the zygote, so its functions and what they keep in their module are shared as they are in Gunicorn: the
zygote is the arbiter, and workers are forked from it. A request costs nothing more unless a hook, a logger class or a
configuration of Python's logging asks for it.
"""

import os
import sys
from datetime import timedelta
from functools import lru_cache
from time import monotonic

from .frames import ClientGone, FrontGone
from .interim import text_of
from .loader import LoadError, check_poll
from .stand_in import GUNICORN_VERSION, KINDS, Application, Config, Server, provide_gunicorn
from .stand_in_request import Request, Response, add_fields
from .telling import message_of
from .wsgi import TOLD, FileWrapper

# Hooks whose failure keeps a worker, or everything, from starting. Others are only told of.
VITAL = frozenset(('on_starting', 'when_ready', 'post_fork', 'post_worker_init'))


# What `portico serve` calls Gunicorn's own logger, by whatever name it was asked for.
GUNICORN_LOGGER = 'gunicorn.glogging.Logger'

# A check opens no files and configures no logs.
CHECKED = {'errorlog': '-', 'accesslog': None, 'syslog': False, 'logconfig': None, 'logconfig_json': None}
CHECKED.update(logconfig_dict={}, logger_class=GUNICORN_LOGGER, access_in_python=False, statsd_host=None)


class Hooks:
    """What the zygote calls. `settings` are those of the bridge, `given` what `portico serve` adds, `names` the file's own."""

    def __init__(self, settings, given, names):
        self.reload = given['reload']
        self.extra_files = given['reload_extra_files']
        self.module = settings['module']
        if self.reload:
            sys.dont_write_bytecode = True  # two versions within one second would be taken for each other
        self.functions = {name: self._function(name, names[name]) for name in given['hooks']}
        values = dict(given['values'])
        values.update((name, names[name]) for name in given['in_python'])
        if given.get('checking'):
            values.update(CHECKED)
        values['chdir'] = settings['directory']
        cfg = Config(values)
        application = Application(cfg, settings['module'], settings.get('kind', 'sync'), settings['paste_global'])
        log = make_logger(values['logger_class'], cfg)
        self.server = Server(cfg, log, application, given['workers'], given['master'])
        self.again = given['again']
        self.before = given.get('workers_before')  # None at the start
        self.halt = None  # in the zygote: what is called when a hook calls sys.exit()
        self.halted = False

    def _function(self, name, value):
        from . import config

        function = config.function(name, value)
        if name != 'post_request':
            return function
        number = config.arity(function)
        if number is None or number == 4:
            return function
        return lambda worker, *rest: function(worker, *rest[: number - 1])

    def call(self, name, *arguments):
        function = self.functions.get(name)
        if function is None:
            return
        try:
            function(*arguments)
        except SystemExit as error:
            if self.halt is None:
                raise  # a worker may leave
            self.halted = True
            self.halt(name, error)
        except Exception as error:
            if name in VITAL:
                raise failure(name, error) from None
            self.server.log.exception('%s failed', name)

    # In the zygote

    def loaded(self, application):
        """The application, if it is preloaded; the sockets listen already."""
        server = self.server
        server.app.callable = application
        title_package()
        self.call('nworkers_changed', server, server.num_workers, self.before)
        for name in ('on_reload',) if self.again else ('on_starting', 'when_ready'):
            if not self.halted:
                self.call(name, server)

    def alone(self):
        """After a reload, when the process before this one has gone, with what `when_ready` had begun there: threads, a port."""
        if not self.again or self.halted:
            return
        self.again = False
        try:
            self.call('when_ready', self.server)
        except LoadError as error:
            self.server.log.error('%s\n%s', error, error.details.rstrip())

    def new_worker(self, age):
        self.server.worker_age = age
        worker = KINDS[self.server.app.kind](self.server, age)
        self.call('pre_fork', self.server, worker)
        return WorkerHooks(self, worker)

    def forked(self, hooked, pid):
        hooked.worker.pid = pid
        self.server.WORKERS[pid] = hooked.worker

    def going(self, pids):
        """They still are, and others take their places: whoever counts those that are alive shall not count them."""
        for pid in pids:
            if pid in self.server.WORKERS:
                self.server.WORKERS[pid]._alive = False

    def exited(self, pid):
        worker = self.server.WORKERS.pop(pid, None)
        if worker is not None:
            self.call('child_exit', self.server, worker)

    def resized(self, number):
        before, self.server.num_workers = self.server.num_workers, number
        if before != number:
            self.call('nworkers_changed', self.server, number, before)


class WorkerHooks:
    """What a worker calls, in its own process."""

    def __init__(self, hooks, worker):
        self.hooks = hooks
        self.worker = worker
        self.ended = False

    def __contains__(self, name):
        return name in self.hooks.functions

    def forked(self):
        """Returns an application that a hook has brought, or None."""
        self.worker.pid = os.getpid()
        self.hooks.halt = None
        set_title('worker [%s]' % (self.worker.cfg.values['proc_name'] or self.hooks.module))
        self.hooks.call('post_fork', self.hooks.server, self.worker)
        return self.worker.app.callable

    def loaded(self, application, leave):
        worker = self.worker
        app = worker.app
        if app.callable is None or self.hooks.reload:
            app.callable = application
        worker.wsgi = app.callable  # that of `post_fork`, if it has put one there
        worker.leave = leave
        self.hooks.call('post_worker_init', worker)
        worker.booted = True

    def failure_counter(self):
        """What tells StatsD of an error of the application, as Gunicorn's logger would; None: nobody is told."""
        if self.worker.cfg.values['statsd_host'] is None:
            return None
        increment = getattr(self.hooks.server.log, 'increment', None)
        return None if increment is None else lambda: increment('gunicorn.log.exception', 1)

    def own_log(self):
        """Errors of requests go to a log that was configured in Python, and nowhere else. None: the front has them."""
        return self.hooks.server.log if is_own_log(self.worker.cfg.values) else None

    def interrupted(self):
        self.worker._alive = False
        self.hooks.call('worker_int', self.worker)

    def aborted(self):
        self.worker._alive = False
        self.worker.aborted = True
        self.hooks.call('worker_abort', self.worker)
        self.exiting()

    def exiting(self):
        # Not in a process that the application has forked.
        if not self.ended and self.worker.pid == os.getpid():
            self.ended = True
            self.worker._alive = False
            self.hooks.call('worker_exit', self.hooks.server, self.worker)

    def around(self, kind):
        """The application with what is to happen before and after each request; itself where nothing is."""
        application = self.worker.wsgi  # which `post_worker_init` may have wrapped
        functions = self.hooks.functions
        before, after = functions.get('pre_request'), functions.get('post_request')
        if before is None and after is None and not self.worker.cfg.values['access_in_python']:
            return application
        watched = Watched(application, self.worker, before, after)
        return watched.asgi if kind == 'asgi' else watched.wsgi


class Watched:
    """An application whose requests the worker's hooks hear of."""

    def __init__(self, application, worker, before, after):
        self.application = application
        self.worker = worker
        self.before = before
        self.after = after
        values = worker.cfg.values
        self.logs = values['access_in_python']
        self.tells = is_own_log(values)

    def begin(self, environ, fields=None):
        request = Request(environ, self.worker.cfg, fields)
        if self.before is not None:
            self.before(self.worker, request)
            request.settle()
        self.worker.nr += 1
        return request

    def end(self, request, response, started, failed=False):
        """`failed`: nothing of the response has been sent, and the front answers with an error."""
        environ = request.environ
        if self.logs:
            shown = response
            if failed or response.status is None:
                shown = Response(request)
                shown.begin('500 Internal Server Error', [])
            self.worker.log.access(shown, request, environ, timedelta(seconds=monotonic() - started))
        if self.after is not None:
            try:
                self.after(self.worker, request, environ, response)
            except Exception:
                self.worker.log.exception('Exception in post_request hook')

    def tell(self, request, error):
        if self.tells and not isinstance(error, (ClientGone, FrontGone)):
            self.worker.log.exception('Error handling request %s %s', request.method, request.uri)
            setattr(error, TOLD, True)

    def wsgi(self, environ, start_response):
        started = monotonic()
        request = self.begin(environ)
        response = Response(request)

        def start(status, headers, exc_info=None):
            write = start_response(status, headers) if exc_info is None else start_response(status, headers, exc_info)
            response.begin(status, headers)

            def count(part):
                write(part)
                response.count(part)

            return count

        try:
            result = self.application(environ, start)
        except BaseException as error:
            self.tell(request, error)
            self.end(request, response, started, response.sent == 0)
            raise

        def finish(failed=False):
            response.headers_sent = not failed
            self.end(request, response, started, failed)

        kind = type(result)
        if kind is FileWrapper:
            return watched_file(result, response, finish)
        if (kind is list or kind is tuple) and response.status is not None and response.response_length is None:
            if all(isinstance(part, bytes) for part in result) and response.sent == 0:
                # What the worker does with a whole body; it will not see that this one is whole.
                result = [b''.join(result)]
                headers = [*response.headers, ('Content-Length', str(len(result[0])))]
                start_response(response.status, headers, (None, None, None))
        return Parts(result, response, finish, self.tell)

    async def asgi(self, scope, receive, send):
        if scope['type'] != 'http':
            await self.application(scope, receive, send)
            return
        started = monotonic()
        request = self.begin(environ_of(scope), scope['headers'])
        if self.before is not None:
            scope = request.settled(scope)
        response = Response(request)

        async def count(message):
            if message['type'] == 'http.response.start':
                headers = [(text_of(name), text_of(value)) for name, value in message.get('headers') or ()]
                response.begin(str(message['status']), headers)
            elif message['type'] == 'http.response.body':
                response.count(message.get('body', b''))
            elif message['type'] == 'http.response.pathsend' and not response.bodiless:
                response.sent += os.path.getsize(message['path'])
            await send(message)

        try:
            await self.application(scope, receive, count)
        finally:
            self.end(request, response, started)


class Parts:
    """A response's parts, counted; `close()` is its end."""

    def __init__(self, result, response, finish, tell):
        self.result = result
        self.response = response
        self.finish = finish
        self.tell = tell
        self.failed = False

    def __iter__(self):
        try:
            for part in self.result:
                self.response.count(part)
                yield part
        except Exception as error:
            self.failed = self.response.sent == 0
            self.tell(self.response.req, error)
            raise

    def close(self):
        try:
            if hasattr(self.result, 'close'):
                self.result.close()
        finally:
            self.finish(self.failed)


def watched_file(wrapper, response, finish):
    close = getattr(wrapper, 'close', None)

    def close_both():
        try:
            if close is not None:
                close()
        finally:
            if not response.bodiless:
                declared = response.response_length
                response.sent += wrapper.sent if declared is None else min(wrapper.sent, declared)
            finish()

    wrapper.close = close_both
    return wrapper


def environ_of(scope):
    """As much of an environ as hooks and loggers look at."""
    environ = {
        'REQUEST_METHOD': scope['method'],
        'RAW_URI': scope['raw_path'].decode('latin-1')
        + ('?' + scope['query_string'].decode('latin-1') if scope['query_string'] else ''),
        'PATH_INFO': scope['path'],
        'QUERY_STRING': scope['query_string'].decode('latin-1'),
        'SERVER_PROTOCOL': 'HTTP/' + scope['http_version'],
        'REMOTE_ADDR': scope['client'][0] if scope.get('client') else '',
        'REMOTE_PORT': str(scope['client'][1]) if scope.get('client') else '',
        'wsgi.url_scheme': scope['scheme'],
    }
    add_fields(environ, ((name.decode('latin-1'), value.decode('latin-1')) for name, value in scope['headers']))
    return environ


def read(given):
    """Runs the configuration file, as Gunicorn's arbiter does: what it does beside settings (variables of the environment, places
    for modules, patches, loggers) is for the application too. Returns its names: of functions JSON has no form.

    What the file prints has been seen when it was read for its settings.
    """
    # What applications tell by that they are served by Gunicorn.
    sys.argv[:] = given['argv']
    os.environ['SERVER_SOFTWARE'] = 'gunicorn/' + GUNICORN_VERSION
    if given['hooks'] or given['in_python'] or given['values']['logger_class'] != GUNICORN_LOGGER:
        provide_gunicorn()
    if not given['config']:
        return {}
    from . import config

    here = os.getcwd()
    out = sys.stdout
    start = given['start_directory']
    if start not in sys.path:
        sys.path.insert(0, start)
    hushed = Hushed(out)
    try:
        os.chdir(start)
        sys.stdout = hushed
        names = config.run(given['config'])
        check_poll(given['config'])
        return names
    except LoadError:
        raise
    except Exception as error:
        raise failure(given['config'], error) from None
    finally:
        hushed.quiet = False
        if sys.stdout is hushed:
            sys.stdout = out
        os.chdir(here)


class Hushed:
    """Standard output that can be told to be quiet. Whoever keeps it, as a handler of a log does, writes through it later."""

    def __init__(self, out):
        self.out = out
        self.quiet = True

    def write(self, text):
        return len(text) if self.quiet else self.out.write(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self.out, name)


def failure(what, error):
    import traceback

    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == os.path.dirname(__file__):
        trace = trace.tb_next
    details = ''.join(traceback.format_exception(type(error), error, trace))
    return LoadError('%s failed: %s: %s' % (what, type(error).__name__, message_of(error)), details)


def is_own_log(values):
    own = values['logger_class'] != GUNICORN_LOGGER or values['logconfig_dict']
    return bool(own or values['logconfig'] or values['logconfig_json'])


def make_logger(value, cfg):
    kind = logger_class(value)
    if value == GUNICORN_LOGGER and cfg.statsd_host is not None:
        from .statsd_logger import StatsdLogger as kind
    try:
        return kind(cfg)
    except Exception as error:
        raise failure('the configuration of logs', error) from None


def logger_class(value):
    if isinstance(value, type):
        return value
    if value == GUNICORN_LOGGER:
        from .logger import Logger

        return Logger
    import importlib

    module, _, name = value.replace(':', '.').rpartition('.')
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LoadError('cannot load the logger class "%s": %s' % (value, error)) from None


def set_title(text):
    """For `ps`: all of it where the package setproctitle is, else the short name the kernel keeps."""
    setproctitle = title_package()
    if setproctitle is not None:
        setproctitle('gunicorn: ' + text)
    else:
        try:
            with open('/proc/self/comm', 'w', encoding='utf-8', errors='replace') as comm:
                comm.write(text[:15])
        except OSError:
            pass


@lru_cache(None)
def title_package():
    """Its function, None without it: looked for once, before there are workers."""
    try:
        from setproctitle import setproctitle
    except ImportError:
        return None
    return setproctitle
