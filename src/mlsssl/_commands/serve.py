"""`serve`: an embedded machine's bindings on a real TLS listener."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import mlsssl
from mlsssl._commands.parser import command, given, machine_of
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal


def add_commands(commands: Commands) -> None:
    """Add the parser of this module's command."""
    summary = "serve an embedded machine's bindings"
    parser = command(commands, "serve", serve, summary, "--machine", library="EmbeddedMachine.listen")
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="BOUND=ACTUAL",
        help="443=8443, may be given again; by default all, each on a free one",
    )
    parser.add_argument("--seconds", type=float, help="stop after this long")


def serve(arguments: Namespace, terminal: Terminal) -> int:
    """`serve`: the embedded machine's bindings on a real TLS listener, until interrupted."""
    if arguments.seconds is not None and not arguments.seconds >= 0:  # not <, for NaN is no number of seconds either
        raise InvalidInputError(f"--seconds is a number from 0 up, not {arguments.seconds}")
    with machine_of(arguments) as machine:
        if not isinstance(machine, mlsssl.EmbeddedMachine):
            raise UnsupportedError("on Windows HTTP.sys itself serves; --machine FILE serves an embedded machine")
        with machine.listen(ports=_parse_ports(arguments.port), **given(arguments, "port", "seconds")) as listener:
            rows = [{"port": one.binding_port, "address": str(one)} for one in listener.addresses]
            if arguments.json:
                terminal.result(rows)
            for row in rows:
                terminal.say(f"port {row['port']} of the bindings is on https://{row['address']}/")
            if not rows:
                terminal.say("Nothing is bound yet; what is bound from now on is served.")
            try:
                _sleep(arguments.seconds)
            except KeyboardInterrupt:
                terminal.say("Stopped.")
    return 0


def _sleep(seconds: float | None) -> None:
    # Not Event.wait: on Windows Ctrl-C does not wake it (bugs.python.org/issue35935).
    end = math.inf if seconds is None else time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 3600))


def _parse_ports(words: list[str]) -> dict[int, int] | None:
    ports: dict[int, int] = {}
    for word in words:
        bound, _, actual = word.partition("=")
        numbers = [int(port) for port in (bound, actual) if port.isdecimal() and len(port) <= 5]  # 0: a free one
        if len(numbers) < 2 or not 1 <= numbers[0] <= 65535 or numbers[1] > 65535:
            raise InvalidInputError(
                f"a port is mapped as BOUND=ACTUAL, two numbers up to 65535 such as 443=8443; not {shown(word)}"
            )
        ports[numbers[0]] = numbers[1]
    return ports or None
