"""Servers that are broken, each in its own way, and one that only talks before it works.

    broken_server.py MODE [...]     over standard input and output; what follows only marks the process
    broken_server.py MODE PORT      over HTTP: unauthorized, web
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INFO = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
        "serverInfo": {"name": "broken", "version": "1.0.0"}}


def tool(name):
    return {"name": name, "description": "Does nothing.", "inputSchema": {"type": "object"}}


def requests():
    """Each request that comes, until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            yield message


def answer(request, **outcome):
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **outcome}), flush=True)


def serve(list_tools):
    """Answers as a server does; what it says of its tools is up to the caller."""
    for request in requests():
        match request["method"]:
            case "initialize":
                answer(request, result=INFO)
            case "ping":
                answer(request, result={})
            case "tools/list":
                list_tools(request)
            case _:
                answer(request, error={"code": -32601, "message": "Method not found"})


def hang():
    """Never answers, never reads, does not end when it is told to, and has a child that does neither."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.fork()
    time.sleep(600)


def die():
    print("API_KEY is not set", file=sys.stderr)
    sys.exit(3)


def rubbish():
    while True:
        print("Welcome to the server!", flush=True)
        time.sleep(0.2)


def error():
    for request in requests():
        answer(request, error={"code": -32603, "message": "the database is locked"})


def endless():
    def page(request):
        number = int(request.get("params", {}).get("cursor", "0"))
        answer(request, result={"tools": [tool(f"tool-{number}")], "nextCursor": str(number + 1)})

    serve(page)


def deaf():
    serve(lambda _: None)


def banner():
    print("Welcome to the server!", flush=True)
    serve(lambda request: answer(request, result={"tools": [tool("nothing")]}))


class Handler(BaseHTTPRequestHandler):
    status, headers_sent, body = 200, {}, b""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do_DELETE = answer


class Unauthorized(Handler):
    status, headers_sent = 401, {"WWW-Authenticate": 'Bearer realm="mcp"'}


class Web(Handler):
    headers_sent, body = {"Content-Type": "text/html"}, b"<html><body><h1>It works!</h1></body></html>"


def main():
    mode, *rest = sys.argv[1:]
    over_http = {"unauthorized": Unauthorized, "web": Web}
    if mode in over_http:
        ThreadingHTTPServer(("127.0.0.1", int(rest[0])), over_http[mode]).serve_forever()
    else:
        {play.__name__: play for play in (hang, die, rubbish, error, endless, deaf, banner)}[mode]()


if __name__ == "__main__":
    main()
