"""Ports for the tests' servers."""

from __future__ import annotations

import random
import socket

import pytest


def free_port() -> int:
    """A port that nobody listens on and that no outgoing connection will be given.

    A client that keeps trying to reach a stopped server on a port of the ephemeral range ends up
    connected to itself, and the server cannot come back.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("none of 100 ports between 20000 and 32000 is free")
