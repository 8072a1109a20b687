"""A UDP server that keeps what it is sent, as a StatsD server would get it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def udp_server() -> Iterator[tuple[int, list[str]]]:
    """A port and the packets that come to it."""
    packets: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    packets.append(server.recv(65_536).decode())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], packets
        finally:
            over.set()
            thread.join()
