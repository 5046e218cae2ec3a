"""ASGI's lifespan: the application hears of the start before the first request, and of the end after the last.

An application that throws at the scope does not speak lifespan and is served without; one that answers `startup.failed` is
not served at all.
"""

import asyncio
import copy
import traceback

from .telling import message_of

UNSUPPORTED, STARTING, STARTED, FAILED, STOPPED = range(5)


class Lifespan:
    def __init__(self, application, name, loop, mode, say):
        self.say = say
        self.mode = mode  # `off`: the application hears nothing; `on`: it has to answer
        self.application = application
        self.name = name
        self.loop = loop
        self.state = {}
        self.shared = False  # requests are given the state itself, and not copies of it
        self.phase = STARTING
        self.error = ''
        self.details = ''
        self.cause = ''  # what it threw instead of answering
        self.asked = False  # the application has received the startup
        self.answer = loop.create_future()
        self.stopping = loop.create_future()
        self.task = None

    async def start(self):
        if self.mode == 'off':
            self.phase = UNSUPPORTED
            return ''
        self.task = self.loop.create_task(self._run())
        await asyncio.wait([self.task, self.answer], return_when=asyncio.FIRST_COMPLETED)
        if self.phase == FAILED:
            return self.error
        if self.phase == STARTING:
            self.phase = UNSUPPORTED
            if self.mode == 'on' and not self.task.cancelled():
                why = ': ' + self.cause if self.cause else ''
                self.error = '%s does not speak lifespan, which is asked for%s' % (self.name, why)
        return self.error

    def give_up_start(self):
        """The worker is to leave before it has served anybody."""
        if self.phase == STARTING and self.task is not None:
            self.task.cancel()

    async def stop(self, seconds):
        """Within a limit: a worker must end."""
        if self.phase != STARTED or self.task.done():
            return
        self.answer = self.loop.create_future()
        self.stopping.set_result(None)
        await asyncio.wait([self.task, self.answer], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not self.task.done():
            # What the application does behind its last answer is cut short only when it lasts.
            await asyncio.wait([self.task], timeout=1)

    def state_for_request(self):
        return self.state if self.shared else copy.copy(self.state)

    async def _run(self):
        scope = {'type': 'lifespan', 'asgi': {'version': '3.0', 'spec_version': '2.0'}, 'state': self.state}
        try:
            await self.application(scope, self._receive, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._note_error(error)

    def _note_error(self, error):
        self.cause = cause = '%s: %s' % (type(error).__name__, message_of(error))
        if self.phase == STARTING and self.mode == 'on':
            self.details = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
        elif self.phase == STARTING and self.asked:
            self.say('%s failed in its lifespan startup and is served without lifespan: %s' % (self.name, cause))
        elif self.phase == STARTED:
            self.say('error in the lifespan of %s: %s' % (self.name, cause))

    async def _receive(self):
        if not self.asked:
            self.asked = True
            return {'type': 'lifespan.startup'}
        await asyncio.shield(self.stopping)
        return {'type': 'lifespan.shutdown'}

    async def _send(self, message):
        kind = message['type']
        if kind in ('lifespan.startup.complete', 'lifespan.startup.failed'):
            if self.phase != STARTING:
                raise RuntimeError('"%s" sent although the start is over' % kind)
            self.phase = STARTED if kind == 'lifespan.startup.complete' else FAILED
            if self.phase == FAILED:
                said = str(message.get('message', '')).strip()
                self.error = '%s failed to start%s' % (self.name, ': ' + said.splitlines()[-1] if said else '')
                self.details = said if '\n' in said else ''
        elif kind in ('lifespan.shutdown.complete', 'lifespan.shutdown.failed'):
            if self.phase != STARTED or not self.stopping.done():
                raise RuntimeError('"%s" sent although nobody asked for the end' % kind)
            self.phase = STOPPED
            if kind == 'lifespan.shutdown.failed':
                self.say('%s failed to shut down: %s' % (self.name, message.get('message', '')))
        else:
            raise ValueError('unknown lifespan message "%s"' % kind)
        if not self.answer.done():
            self.answer.set_result(None)
