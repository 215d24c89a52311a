"""The sample site with three addresses more, for bench/deploy: requests that are under way for long.

/held/slow says nothing for `s` seconds and then all; /held/stream a line every half second; /held/socket is a websocket that sends a
message every half second. Each ends with "end", so that a client knows whether it got everything.
"""
import base64
import hashlib
import time
from urllib.parse import parse_qs

from acme_kitchens.wsgi import application as site

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def seconds(environ):
    return float(parse_qs(environ["QUERY_STRING"]).get("s", ["5"])[0])


def pieces(environ):
    for _ in range(int(seconds(environ) * 2)):
        yield b"piece\n"
        time.sleep(0.5)
    yield b"end\n"


def slow(environ):
    time.sleep(seconds(environ))
    yield b"end\n"


def websocket(environ):
    """gunicorn's threads and sync workers hand over the connection itself; this keeps it until all is sent."""
    connection = environ["gunicorn.socket"]
    digest = hashlib.sha1((environ["HTTP_SEC_WEBSOCKET_KEY"] + GUID).encode()).digest()
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                       + base64.b64encode(digest) + b"\r\n\r\n")
    for piece in pieces(environ):
        connection.sendall(bytes((0x81, len(piece))) + piece)
    connection.sendall(b"\x88\x02\x03\xe8")
    raise StopIteration  # gunicorn closes the connection, and writes no answer of its own


def application(environ, start_response):
    kind = environ["PATH_INFO"]
    if kind == "/held/socket":
        return websocket(environ)
    if kind in ("/held/slow", "/held/stream"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (slow if kind.endswith("slow") else pieces)(environ)
    return site(environ, start_response)
