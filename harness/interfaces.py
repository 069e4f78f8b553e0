"""Which network card gloo talks through: by itself it asks the host's name, which many machines give to their loopback."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_VARIABLE = "GLOO_SOCKET_IFNAME"
_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of a card."""


@contextmanager
def interface_of(address: str) -> Iterator[None]:
    """Inside, gloo uses the card of this IPv4 address; what the environment says already goes first."""
    name = "" if _VARIABLE in os.environ else _card(address)
    if name:
        os.environ[_VARIABLE] = name
    try:
        yield
    finally:
        if name:
            del os.environ[_VARIABLE]


def _card(address: str) -> str:
    """Its name; empty where none has it, or where the system does not say."""
    with suppress(ImportError):
        import fcntl

        for _, name in socket.if_nameindex():
            with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                found = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(found[20:24]) == address:
                    return name
    return ""
