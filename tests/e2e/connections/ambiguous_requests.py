"""Requests for raw sockets, among them requests that two parsers can interpret differently."""

import json

HOST, KIND = "Host: 127.0.0.1\r\n", "Content-Type: application/json\r\n"


def registration(server, **more):
    return {"id": server, "name": "small", "transport": "stdio", "command": ["true"], "ttl": 86400, **more}


def request(method, path, headers="", body=""):
    return f"{method} {path} HTTP/1.1\r\n{HOST}{headers}\r\n{body}".encode("latin-1")


def post(server):
    body = json.dumps(registration(server))
    return request("POST", "/v1/servers", f"{KIND}Content-Length: {len(body)}\r\n", body)


def ambiguous():
    """Returns requests that two parsers may interpret differently: those that must be refused, and those that may
    get one response. The deletion of victim-000 follows each body, or is inside it."""
    smuggled, body = request("DELETE", "/v1/servers/victim-000").decode(), json.dumps(registration("own-000"))
    n, x, both = len(body), f"{len(body):x}", len(body + smuggled)
    chunks, around = f"{x}\r\n{body}\r\n0\r\n\r\n", f"{both:x}\r\n{body}{smuggled}\r\n0\r\n\r\n"
    cl, te = "Content-Length: {}\r\n".format, "Transfer-Encoding: {}\r\n".format
    chunked, whole = te("chunked"), cl(len(chunks + smuggled))

    def framed(framing, rest, line="POST /v1/servers HTTP/1.1"):
        return f"{line}\r\n{HOST}{KIND}{framing}\r\n{rest}"

    lengths = (
        f"+{n}|-{n}|-1|{n:#x}|{n},|{n}, {n}|{n}, 0|1e2||{n} 0|1_0|\v{n}|{n}\0|\r\n {n}|"
        f"{2**64 + n}|{2**64 - 1}|{2**64 - 3}|{'9' * 30}"
    ).split("|")
    lengths = [cl(n) + cl(both), cl(both) + cl(n), f"Content-Length : {n}\r\n", *map(cl, lengths)]
    codings = (
        'xchunked|identity|chunked, identity|chunked, chunked|x, chunked|chunked;q=1|"chunked"||\vchunked|'
        "chunked,|\xa0chunked|chunked\0|chunked\r|\r\n chunked"
    ).split("|")
    codings = [chunked * 2, te("x") + chunked, chunked + te("x"), "Transfer-Encoding : chunked\r\n", *map(te, codings)]
    sizes = (f'+{x}|-{x}|0x{x}| {x}|1{n:016x}||zz|{x}\0|{x}\r|{x};a\nb|{x};a="\n"|{x};a\rb|{x};{"a" * 20000}').split(
        "|"
    )
    bad = [f"{size}\r\n{body}\r\n0\r\n\r\n" for size in sizes] + [
        f"{x}\n{body}\r\n0\r\n\r\n",
        f"{x}\r{body}\r\n0\r\n\r\n",
        f"{x}\r\n{body}0\r\n\r\n",
        f"{x}\r\n{body}X0\r\n\r\n",
        f"{x}\r\n{body}\n0\r\n\r\n",
        chunks[:-4] + "\n\n",
        chunks[:-2] + "XX",
        chunks[:-2] + "X\r\n\r\n",
    ]
    headers = "X: a\0b|X\0: a|X: a\rb|X: a\r\rb: c|X: a\x7f|X Y: a|XY|X: a\r\n b|: a".split("|")
    headers += ["X: a\r\n" * 101, "X: " + "a" * (1 << 20)]
    lines = (
        "GET /|GET / HTTP/0.9|GET / HTTP/2.0|GET / http/1.1| GET / HTTP/1.1|GET / HTTP/1.1 |GET  / HTTP/1.1|"
        "GET /  HTTP/1.1|GET / HTTP/1.1 HTTP/1.1|/ HTTP/1.1|GET /a b HTTP/1.1|GET\t/ HTTP/1.1|G\0T / HTTP/1.1|"
        "GET /\r HTTP/1.1|PRI * HTTP/2.0\r\n\r\nSM"
    ).split("|") + [f"GET /{'a' * 70000} HTTP/1.1"]
    here, evil, old = "/v1/servers/victim-000 HTTP/1.1", "Host: evil.example\r\n", "POST /v1/servers HTTP/1.0"
    hosts = ["", HOST + HOST, evil, HOST + evil, "Host: evil.example@127.0.0.1\r\n", "Host: 127.0.0.1:x\r\n"]
    direct = (
        [(f"DELETE {here}", host) for host in hosts]
        + [(f"delete {here}", HOST), (f"Delete {here}", HOST)]
        + [
            (f"DELETE http://{target}{here}", host)
            for target, host in (
                ("evil.example", HOST),
                ("evil@127.0.0.1", HOST),
                ("127.0.0.1", ""),
                ("127.0.0.1", HOST + evil),
            )
        ]
    )
    refused = [framed(framing, body + smuggled) for framing in lengths]
    refused += [framed(more + framing, chunks + smuggled) for framing in codings for more in ("", whole)]
    refused += [framed(f"{more}{chunked}Connection: keep-alive\r\n", chunks + smuggled, old) for more in ("", whole)]
    refused += [framed(chunked, text + smuggled) for text in bad]
    refused += [f"GET /healthz HTTP/1.1\r\n{HOST}{header}\r\n\r\n{smuggled}" for header in headers]
    refused += [f"{line}\r\n{HOST}\r\n{smuggled}" for line in lines]
    refused += [f"{line}\r\n{host}\r\n" for line, host in direct]
    # The response comes before the body is read: only what follows the response counts.
    once = [framed(chunked, text + smuggled, "PUT /v1/servers/small-1/refresh HTTP/1.1") for text in bad]
    # With both framings at once, RFC 9112, section 6.3, requires closing the connection after the response.
    once += [
        framed(framing, chunks + smuggled)
        for framing in (whole + chunked, chunked + whole, whole + te("\tCHUNKED"), f"X: a\n{chunked}{whole}")
    ]
    once += [framed(framing, around) for framing in (cl(4) + chunked, te("\tchunked"))]
    once += [framed(cl(length), body + smuggled) for length in (f"  {both}", f"{both}  ", f"\t000{both}")]
    once += [framed(chunked, around.replace("\r\n", end + "\r\n", 1)) for end in (" ", ";a=b", ";a=\0")]
    once += [framed(chunked, "000" + around), f"GET /healthz HTTP/1.1\n{HOST.strip()}\n\n"]
    return refused, once
