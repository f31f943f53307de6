"""When a server wants a certificate to be renewed (ACME Renewal Information, RFC 9773)."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING

from mlsssl.errors import IssuerError
from mlsssl.issuers._acme import chains
from mlsssl.issuers._acme.client import OutOfTime
from mlsssl.issuers._acme.state import moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mlsssl.certificate import Certificate
    from mlsssl.issuers._acme.client import Client
    from mlsssl.issuers._acme.state import State

_SHORTEST, _LONGEST = 60.0, 86400.0  # seconds between two questions, whatever the server says (section 4.3.2)
_USUAL = 6 * 3600.0  # where it says nothing, or did not answer (section 4.3.3)


def renewal_time(
    certificate: Certificate, *, state: State, client: Callable[[], Client], now: dt.datetime
) -> dt.datetime | None:
    """A moment in the window that the server suggests; the same one for a certificate as long as the window is.

    The server is asked again only when it has said that it may be, across processes.
    """
    identifier = chains.identifier(certificate)
    if identifier is None or now >= certificate.not_after:
        return None
    name = f"renewal-{hashlib.sha256(identifier.encode()).hexdigest()[:32]}"
    record = state.read(name)
    again = moment(record.get("again"))
    if again is None or now >= again:
        record = _asked(record, identifier, client(), now)
        state.write(name, record)
        state.forget_past("renewal", "again", now=now, but=name)  # of certificates that nobody asks about any more
    start, end = moment(record.get("start")), moment(record.get("end"))
    if start is None or end is None:
        return None
    # A uniform choice (section 4.2), and not a new one each time: a task that looks once a day would otherwise draw
    # again each time, and the earliest draw would win.
    number = int.from_bytes(hashlib.sha256(certificate.to_der()).digest()[:8], "big")
    return start + (end - start) * (number / 2**64)


def _asked(record: dict[str, Any], identifier: str, client: Client, now: dt.datetime) -> dict[str, Any]:
    wait = _USUAL
    try:
        url = client.resource("renewalInfo")
        if url is None:
            record = {}
        else:
            answer = client.get(f"{url.rstrip('/')}/{identifier}")
            said = answer.json().get("suggestedWindow")
            window = said if isinstance(said, dict) else {}
            start, end = moment(window.get("start")), moment(window.get("end"))
            if start is not None and end is not None and start < end:
                record = {"start": start.isoformat(), "end": end.isoformat()}
            if answer.retry_after is not None:
                wait = answer.retry_after
    except (IssuerError, OutOfTime):
        pass  # what it said before stands
    wait = min(_LONGEST, max(_SHORTEST, wait))
    return {**record, "again": (now + dt.timedelta(seconds=wait)).isoformat()}
