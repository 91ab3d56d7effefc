"""Ports that are known before anybody listens there."""

import socket


class Port:
    """A port of 127.0.0.1 that is kept for whoever is told of it.

    It is bound, so the system gives it to nobody; it does not listen, so one server that asks for this very port
    still can (as all do here, with SO_REUSEADDR).
    """

    def __init__(self):
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind(("127.0.0.1", 0))
        self.number = self._kept.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.number}"

    def answers(self) -> bool:
        """Whether somebody listens there by now."""
        try:
            socket.create_connection(("127.0.0.1", self.number), timeout=5).close()
        except ConnectionRefusedError:
            return False
        return True

    def release(self) -> None:
        self._kept.close()
