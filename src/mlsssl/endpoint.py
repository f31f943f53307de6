"""A live server: what it really sends in a TLS handshake, and a report on that."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlsssl._formats import pem
from mlsssl._formats.hosts import parse_host
from mlsssl._machine import handshake, tls_contexts
from mlsssl._messages.arguments import check_number
from mlsssl._messages.foreign_text import printable, shown, system_reason
from mlsssl._messages.output import as_dict
from mlsssl._select.trust import read_once, report_on
from mlsssl.certificate import Certificate, assemble
from mlsssl.errors import EndpointError, InvalidInputError
from mlsssl.values import check_moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from mlsssl._select.trust import TrustAnchor
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Report
    from mlsssl._validator.validate import UserRule
    from mlsssl.revocation_list import AnyList
    from mlsssl.values import ClientName

__all__ = ["EndpointReport", "check_endpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReport:
    """What a server sent, and the report on it; true when the report has no error.

    Attributes:
        endpoint: `host:port` as asked.
        address: The IP address that answered.
        server_name: The name that was asked for (SNI, and the name checked).
        protocol: What the handshake agreed on: `"TLSv1.3"`, `"TLSv1.2"` and so on.
        cipher: The cipher suite's name in OpenSSL's words.
        certificate: What the server presented, with the chain as it was sent, in that order, and no key.
        report: The findings.
    """

    endpoint: str
    address: str
    server_name: str
    protocol: str
    cipher: str
    certificate: Certificate
    report: Report

    def __bool__(self) -> bool:
        return self.report.ok

    @property
    def ok(self) -> bool:
        """Whether the report has no error."""
        return self.report.ok

    def to_dict(self) -> dict[str, object]:
        """Everything as dicts, lists, text and booleans, ready for JSON."""
        return {
            **as_dict(self, "endpoint", "address", "server_name", "protocol", "cipher"),
            "sent": [one.sha256 for one in (self.certificate, *self.certificate.chain)],
            **self.report.to_dict(),
        }

    def to_text(self) -> str:
        """The handshake in one line, and the report."""
        sent = 1 + len(self.certificate.chain)
        count = "1 certificate" if sent == 1 else f"{sent} certificates"
        head = (
            f"{self.endpoint} ({self.address}), asked for {self.server_name}: {self.protocol}, {self.cipher}, {count}"
        )
        return f"{printable(head)}\n{self.report.to_text()}"

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, facts, text

        sent = (self.certificate, *self.certificate.chain)
        rows = [
            ("server", text(f"{self.endpoint} ({self.address})")),
            ("asked for", text(self.server_name)),
            ("agreed on", text(f"{self.protocol}, {self.cipher}")),
            ("sent", "<br>".join(text(one.subject or "(empty name)") for one in sent)),
        ]
        title, *parts = self.report._card_parts()  # noqa: SLF001 -- this card is that one and more
        return card(title, facts(rows), *parts)

    def __str__(self) -> str:
        return self.to_text()


def check_endpoint(
    endpoint: str,
    *,
    host: str | None = None,
    trust: Iterable[TrustAnchor] | Literal["system"] | None = "system",
    at: dt.datetime | None = None,
    profile: str | Profile = "private",
    client: ClientName | None = None,
    crls: Sequence[AnyList] = (),
    revocation: Literal["soft", "hard"] = "soft",
    silence: Mapping[str, str] | None = None,
    extra_rules: Sequence[UserRule] = (),
    timeout: float = 10.0,
) -> EndpointReport:
    """Connect to a server, take what it sends, and report on it.

    The handshake itself accepts everything, so that a certificate that no client would accept can still be
    explained; nothing is sent to the server beyond the handshake, and no client certificate.

    Args:
        endpoint: `"host:port"`, `"[2001:db8::1]:443"`, or a host alone for port 443.
        host: The name to ask for and to check; the host of `endpoint` when not given. Give it to ask one server of
            several by its address.
        trust: As in `Certificate.check`.
        at: As in `Certificate.check`.
        profile: As in `Certificate.check`.
        client: As in `Certificate.check`.
        crls: As in `Certificate.check`.
        revocation: As in `Certificate.check`.
        silence: As in `Certificate.check`.
        extra_rules: As in `Certificate.check`.
        timeout: Seconds for everything together, above 0 to 3600; resolving the name is the system's and may take
            longer.

    Returns:
        What was sent, and the report on it. Only certificates that the server sent take part in the path, besides
        the trusted ones, so that a missing intermediate is a finding even where this computer happens to have it
        (unless Windows itself judges, as in `Certificate.check` with `trust="system"`: it may find one elsewhere).

    Raises:
        InvalidInputError: an endpoint, a name or another argument that means nothing.
        EndpointError: no such host, no connection, no TLS handshake, or not in time.
        MalformedDataError: the server sent something that is no certificate.
        NotFoundError: `trust="system"`, and no CA bundle is installed.
        NativeError: `trust="system"` on Windows, and its chain engine could not build a chain at all.
        UnsupportedError: this Python cannot give the chain as it was sent.

    Not checked: other names and other certificates of the same server (one handshake sees one), stapled revocation
    answers, and what the server speaks besides the protocol agreed on. Standards: RFC 8446, RFC 5280, RFC 9525.
    """
    from mlsssl._validator.served import Served

    where, port = _parse(endpoint)
    name = str(parse_host(host if host is not None else where))
    check_number(timeout, 0, 3600, "timeout is a number of seconds above 0 and up to 3600", above=True)
    moment = check_moment(at)
    asked = read_once(trust)
    taken = _shake_hands(where, port, name, float(timeout))
    leaf, *chain = [
        pem.load_der(der, f"certificate {number} of those that the server sent cannot be read")
        for number, der in enumerate(taken.certificates, 1)
    ]
    report = report_on(
        leaf,
        chain,
        name,
        trust=asked,
        at=moment,
        profile=profile,
        client=client,
        crls=crls,
        revocation=revocation,
        served=Served(chain=tuple(chain), protocol=taken.protocol),
        silence=silence,
        extra_rules=extra_rules,
    )
    return EndpointReport(
        endpoint=endpoint,
        address=taken.address,
        server_name=name,
        protocol=taken.protocol,
        cipher=taken.cipher,
        certificate=assemble(leaf, None, tuple(chain)),
        report=report,
    )


def _parse(endpoint: str) -> tuple[str, int]:
    if not isinstance(endpoint, str) or "/" in endpoint:
        raise InvalidInputError(f"an endpoint is host:port, for example 'server-name.com:443', not {shown(endpoint)}")
    host, port = endpoint, "443"
    if endpoint.endswith("]") or (endpoint.count(":") > 1 and not endpoint.startswith("[")):
        pass  # an IPv6 address alone, with or without brackets
    elif ":" in endpoint:
        host, _, port = endpoint.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise InvalidInputError(f"a port is a number from 1 to 65535, not {shown(port)} as in {shown(endpoint)}")
    return str(parse_host(host)), int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    certificates: list[bytes]
    address: str
    protocol: str
    cipher: str


def _shake_hands(host: str, port: int, name: str, timeout: float) -> _Taken:
    endpoint = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    deadline = time.monotonic() + timeout
    try:
        connection = handshake.connect(host, port, deadline=deadline)
        address = str(connection.getpeername()[0])
        with handshake.shake(connection, name, tls_contexts.accepting_anything(), deadline=deadline) as session:
            cipher = session.cipher()
            return _Taken(
                certificates=handshake.sent_chain(session),
                address=address,
                protocol=session.version() or "",
                cipher=cipher[0] if cipher else "",
            )
    except TimeoutError:
        raise EndpointError(f"{endpoint} did not finish a TLS handshake in {timeout:g} s", endpoint=endpoint) from None
    except socket.gaierror as error:
        raise EndpointError(f"there is no host {shown(host)}: {system_reason(error)}", endpoint=endpoint) from None
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        raise EndpointError(
            f"{endpoint} was reached, and the TLS handshake failed: {reason}; is it a TLS port, does a certificate "
            f"answer to the name {shown(name)}, and does the server do without a client certificate?",
            endpoint=endpoint,
        ) from None
    except ConnectionRefusedError:
        raise EndpointError(f"nothing listens on {endpoint}", endpoint=endpoint) from None
    except (OSError, UnicodeError, ValueError) as error:
        raise EndpointError(f"{endpoint} cannot be asked: {error}", endpoint=endpoint) from None
