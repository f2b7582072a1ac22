"""Runs boostedblob's own command line with names of Azure that lead to this machine: only the name lookup is replaced."""

import json
import os
import socket

import aiohttp.connector
from aiohttp.abc import AbstractResolver

# Host name to port on loopback.
HOSTS = json.loads(os.environ["GATE_HOSTS"])


class Lookup(AbstractResolver):
    """Knows the hosts of the gate and no others: nothing leaves the machine."""

    def __init__(self, loop=None):
        pass

    async def resolve(self, host, port=0, family=socket.AF_INET):
        if host not in HOSTS:
            raise OSError(socket.EAI_NONAME, f"{host} is not a host of this gate")
        return [{"hostname": host, "host": "127.0.0.1", "port": HOSTS[host], "family": socket.AF_INET, "proto": 0, "flags": 0}]

    async def close(self):
        pass


aiohttp.connector.DefaultResolver = Lookup


def main():
    from boostedblob.__main__ import main as run

    run()


main()
