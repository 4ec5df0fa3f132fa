"""A client of the older Python SDK: asks the registry and prints what it saw as JSON, which report.py checks.

    older_python_sdk.py QUESTIONS TARGET…

TARGET is a URL, or a command and its arguments. QUESTIONS is JSON.
"""

import asyncio
import json
import sys
import time

from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ServerNotification


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class SdkClient:
    def __init__(self):
        self.session, self.events = None, []

    async def on_message(self, message):
        if isinstance(message, ServerNotification):
            what = message.root.method.removeprefix("notifications/resources/")
            uri = getattr(message.root.params, "uri", None)
            self.events.append((f"{what} {uri}" if uri else what, time.monotonic()))

    async def call(self, name, arguments, *_):
        return plain(await self.session.call_tool(name, arguments))

    async def change(self, name, arguments, count):
        """Calls a tool, and waits for `count` events. Returns them with their delays in seconds."""
        self.events.clear()
        started_at = time.monotonic()
        answer = await self.call(name, arguments)
        while len(self.events) < count and time.monotonic() < started_at + 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        return {"answer": answer, "events": [(what, when - started_at) for what, when in self.events]}

    async def ask(self, questions):
        initialized = await self.session.initialize()
        seen = {
            "version": initialized.protocolVersion,
            "server": plain(initialized.serverInfo),
            "capabilities": plain(initialized.capabilities),
            "instructions": initialized.instructions,
            "tools": plain(await self.session.list_tools())["tools"],
            "templates": plain(await self.session.list_resource_templates())["resourceTemplates"],
            "resources": plain(await self.session.list_resources())["resources"],
            "answers": [await self.call(*question) for question in questions["calls"]],
            "refused": [await error_of(self.call(*question)) for question in questions["refused"]],
            "read": [plain(await self.session.read_resource(uri))["contents"][0] for uri in questions["read"]],
        }
        seen["refused"].append(await error_of(self.session.read_resource(questions["no_resource"])))
        for uri in questions["subscribe"]:
            await self.session.subscribe_resource(uri)
        return {**seen, "changes": [await self.change(*step) for step in questions["changes"]]}


async def error_of(question):
    try:
        return await question
    except McpError as error:
        return {"code": error.error.code, "message": error.error.message}


async def main(questions, *target):
    command = StdioServerParameters(command=target[0], args=target[1:])
    transport = streamablehttp_client(target[0]) if len(target) == 1 else stdio_client(command)
    client = SdkClient()
    async with (
        transport as (read, write, *_),
        ClientSession(read, write, message_handler=client.on_message) as client.session,
    ):
        print(json.dumps(await client.ask(json.loads(questions))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
