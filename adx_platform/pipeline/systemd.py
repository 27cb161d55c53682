"""Telling systemd that the service is ready, alive, or stopping.

Belongs here: the datagram of ``sd_notify``. Does not belong here: deciding what is true. Outside of
systemd (no ``NOTIFY_SOCKET``) every call does nothing.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Final

logger = logging.getLogger(__name__)

READY: Final = "READY=1"
ALIVE: Final = "WATCHDOG=1"
STOPPING: Final = "STOPPING=1"


def notify(message: str) -> bool:
    """Send ``message`` to the service manager.

    Returns:
        Whether there is one and it took the message.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        # Linux's abstract namespace is written with an @.
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect(address)
            client.sendall(message.encode())
    except OSError as error:
        logger.warning("the service manager was not told %s: %s", message, error)
        return False
    return True
