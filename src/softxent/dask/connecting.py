"""Connects to a cluster by the address of its scheduler."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from distributed import Client, LocalCluster
from distributed.comm.addressing import parse_address, parse_host_port

LOCAL = "local"  # in place of an address


@contextmanager
def connected(address: str, patience: float) -> Iterator[Client]:
    """Gives a client of the cluster, or of one of this machine's cores; OSError or ValueError says why it cannot.

    patience  s, for the scheduler to answer and for its first worker
    """
    with ExitStack() as stack:
        if address == LOCAL:
            cores = LocalCluster(threads_per_worker=1, dashboard_address=":0", silence_logs=logging.ERROR)
            address = stack.enter_context(cores).scheduler_address
        parse_host_port(parse_address(address)[1])  # a client would try wrong ones for long
        client = stack.enter_context(Client(address, timeout=patience))
        client.wait_for_workers(1, timeout=patience)
        yield client
