"""A mail server that keeps what it gets."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

_REPLIES = {b"EHLO": b"250 sink", b"DATA": b"354 go on", b"QUIT": b"221 bye"}


@dataclass
class Sink:
    """What arrived.

    :param port: on 127.0.0.1.
    :param connection: an Airflow connection to it.
    """

    port: int
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def connection(self) -> str:
        return f"smtp://127.0.0.1:{self.port}/?disable_ssl=true&disable_tls=true&retry_limit=1"

    def text(self, place: int = -1) -> str:
        """Return what a mail says."""
        part = self.mails[place].get_body()
        assert part is not None
        return str(part.get_content())


@contextmanager
def smtp_sink() -> Iterator[Sink]:
    """Serve a sink on a free port."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 sink\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                self.wfile.write(_REPLIES.get(word, b"250 ok") + b"\r\n")
                if word == b"DATA":
                    lines = list(iter(self.rfile.readline, b".\r\n"))
                    sink.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
                    self.wfile.write(b"250 kept\r\n")
                if word == b"QUIT":
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        sink = Sink(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield sink
        server.shutdown()
