"""Passes TCP connections on, to and from sockets in files, which reach over the border of a network namespace.

Run as a program with pairs of addresses: `python relay.py [--lo] FROM=TO …`, each `tcp:PORT` (on 127.0.0.1) or
`unix:PATH`. With `--lo` it switches the loopback interface of a new namespace on first. It says `ready` and runs until
it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys

assert sys.platform != "win32"  # which has neither

import fcntl  # noqa: E402 -- after the line that tells type checkers

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h


def switch_on_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


async def connect(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    kind, _, where = target.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(where)
    return await asyncio.open_connection("127.0.0.1", int(where))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def serve(source: str, target: str) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far_reader, far_writer = await connect(target)
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
            far_writer.close()
        writer.close()

    kind, _, where = source.partition(":")
    if kind == "unix":
        await asyncio.start_unix_server(relay, where)
    else:
        await asyncio.start_server(relay, "127.0.0.1", int(where))


async def main(arguments: list[str]) -> None:
    if "--lo" in arguments:
        arguments.remove("--lo")
        switch_on_loopback()
    for argument in arguments:
        await serve(*argument.split("=", 1))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
