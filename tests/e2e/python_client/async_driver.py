"""A synchronous wrapper around the asynchronous client, so that the same trials run with both clients."""

import asyncio
import functools
import inspect
import threading

import paulina


class SyncWrapper:
    """Wraps an object of the asynchronous client and the objects that it returns. Blocks on each coroutine."""

    def __init__(self, wrapped, loop):
        self._wrapped, self._loop = wrapped, loop

    def __getattr__(self, name):
        attribute = getattr(self._wrapped, name)
        return functools.partial(self._call, attribute) if inspect.ismethod(attribute) else attribute

    def _call(self, method, *arguments, **options):
        async def call():
            result = method(*arguments, **options)
            return await result if inspect.iscoroutine(result) else result

        result = asyncio.run_coroutine_threadsafe(call(), self._loop).result(60)
        kinds = (paulina.AsyncFound, paulina.AsyncHeartbeat, paulina.AsyncWatch)
        return SyncWrapper(result, self._loop) if isinstance(result, kinds) else result

    def __iter__(self):
        iterator = aiter(self._wrapped)
        while True:
            try:
                yield asyncio.run_coroutine_threadsafe(self._next(iterator), self._loop).result(60)
            except StopAsyncIteration:
                return

    @staticmethod
    async def _next(iterator):
        return await anext(iterator)

    def __next__(self):
        return next(iter(self))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes or stops the wrapped object."""
        ending = getattr(self._wrapped, "aclose", None) or self._wrapped.stop
        self._call(ending)


def async_client(*arguments, **options):
    """Returns a wrapped `AsyncClient` in its own event loop."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def create():
        return paulina.AsyncClient(*arguments, **options)

    return SyncWrapper(asyncio.run_coroutine_threadsafe(create(), loop).result(10), loop)
