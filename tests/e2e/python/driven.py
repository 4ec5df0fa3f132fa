"""The asynchronous client, driven from outside its loop: what is tried with the synchronous one is tried with both."""

import asyncio
import functools
import inspect
import threading

import paulina


class Driven:
    """Anything of the asynchronous client. What it gives is driven as well; what is awaited there is waited for here."""

    def __init__(self, it, loop):
        self._it, self._loop = it, loop

    def __getattr__(self, name):
        attribute = getattr(self._it, name)
        return functools.partial(self._call, attribute) if inspect.ismethod(attribute) else attribute

    def _call(self, method, *arguments, **options):
        async def called():
            result = method(*arguments, **options)
            return await result if inspect.iscoroutine(result) else result

        result = asyncio.run_coroutine_threadsafe(called(), self._loop).result(60)
        kinds = (paulina.AsyncFound, paulina.AsyncHeartbeat, paulina.AsyncWatch)
        return Driven(result, self._loop) if isinstance(result, kinds) else result

    def __iter__(self):
        iterator = aiter(self._it)
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
        """Ends it as its own kind ends."""
        ending = getattr(self._it, "aclose", None) or self._it.stop
        self._call(ending)


def asynchronous(*arguments, **options):
    """An `AsyncClient` in a loop of its own."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def made():
        return paulina.AsyncClient(*arguments, **options)

    return Driven(asyncio.run_coroutine_threadsafe(made(), loop).result(10), loop)
