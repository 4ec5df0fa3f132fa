"""A client of the current Python SDK."""

import asyncio
import contextlib
import logging
import time
from collections import Counter

import anyio
from mcp import Client, MCPError

from registry_mcp.report import SOON
from registry_mcp.servers import MODERN


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class PythonClient:
    """A client of the current Python SDK."""

    def __init__(self):
        self.client, self.events = None, []

    async def on_message(self, message):
        if getattr(message, "method", "").startswith("notifications/resources/"):
            self.record(message.method.removeprefix("notifications/resources/"), getattr(message.params, "uri", None))

    def record(self, what, uri):
        self.events.append((f"{what} {uri}" if uri else what, time.monotonic()))

    async def listen(self, subscription):
        async for event in subscription:
            uri = getattr(event, "uri", None)
            self.record("updated" if uri else "list_changed", uri)

    async def call(self, name, arguments, *_):
        return plain(await self.client.call_tool(name, arguments))

    async def change(self, name, arguments, count):
        self.events.clear()
        started_at = time.monotonic()
        answer = await self.call(name, arguments)
        while len(self.events) < count and time.monotonic() < started_at + 2 * SOON:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        return {"answer": answer, "events": [(what, when - started_at) for what, when in self.events]}

    async def changes(self, questions):
        if not questions["changes"]:
            return []
        async with contextlib.AsyncExitStack() as stack:
            if self.client.protocol_version == MODERN:
                listening = self.client.listen(
                    resources_list_changed=True, resource_subscriptions=questions["subscribe"]
                )
                subscription = await stack.enter_async_context(listening)
                task = asyncio.create_task(self.listen(subscription))
                stack.callback(task.cancel)
            else:
                for uri in questions["subscribe"]:
                    await self.client.subscribe_resource(uri)
            return [await self.change(*step) for step in questions["changes"]]

    async def ask(self, target, mode, questions):
        # Otherwise, events in the queue between listen and its consumer would count twice.
        handler = self.on_message if mode == "legacy" else None
        async with Client(target, mode=mode, message_handler=handler) as self.client:
            client = self.client
            seen = {
                "version": client.protocol_version,
                "server": plain(client.server_info),
                "capabilities": plain(client.server_capabilities),
                "instructions": client.instructions,
                "tools": plain(await client.list_tools())["tools"],
                "templates": plain(await client.list_resource_templates())["resourceTemplates"],
                "resources": plain(await client.list_resources())["resources"],
                "answers": [await self.call(*question) for question in questions["calls"]],
                "refused": [await error_of(self.call(*question)) for question in questions["refused"]],
                "read": [plain(await client.read_resource(uri))["contents"][0] for uri in questions["read"]],
            }
            seen["refused"].append(await error_of(client.read_resource(questions["no_resource"])))
            return {**seen, "changes": await self.changes(questions)}


async def error_of(question):
    try:
        return await question
    except MCPError as error:
        return {"code": error.error.code, "message": error.error.message}


class SdkWarnings(logging.Handler):
    """Counts the warnings of the Python SDK, except those about closed streams."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.counts = Counter()

    def emit(self, record):
        cause = record.exc_info[1] if record.exc_info else None
        if not isinstance(cause, (anyio.BrokenResourceError, anyio.ClosedResourceError)):
            self.counts[f"{record.getMessage()} {cause or ''}".strip()] += 1
