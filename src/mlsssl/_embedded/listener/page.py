"""The status page: which binding answered, with which certificate, and for how long that is valid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mlsssl._formats.foreign import name_text
from mlsssl._formats.pem import find_extension
from mlsssl._messages.output import escaped
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from mlsssl._embedded.listener.serving import Answer

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:46rem;padding:0 1rem;"
    "color-scheme:light dark}th{text-align:left;vertical-align:top;padding-right:1.5rem;font-weight:600}"
    "td{overflow-wrap:anywhere}code{font-family:ui-monospace,monospace}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the handshake settled.

    Attributes:
        server_name: What the client asked for, or None.
        version: `TLSv1.3`.
        cipher: The cipher suite's name.
        client: The subject of the client's certificate, or None.
    """

    server_name: str | None
    version: str
    cipher: str
    client: str | None


def status_page(answer: Answer, session: Session, now: datetime) -> str:
    """The page as HTML; everything that comes from outside is escaped."""
    certificate = answer.certificate
    rows = [
        ("Binding", str(answer.record.key)),
        ("Application id", f"{{{answer.record.app_id}}}"),
        ("Store", f"LocalMachine\\{answer.record.store_name or 'MY'}" if answer.record.thumbprint else "CCS"),
        ("Subject", name_text(certificate.subject) or "empty"),
        ("Names", ", ".join(_names(certificate)) or "none"),
        ("Thumbprint", certificate.fingerprint(hashes.SHA1()).hex()),  # noqa: S303 -- Windows' name for it
        ("SHA-256", certificate.fingerprint(hashes.SHA256()).hex()),
        ("Valid until", f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, {_left(certificate, now)}"),
        ("Server name", session.server_name or "not sent"),
        ("Connection", f"{session.version}, {session.cipher}"),
        ("Client certificate", session.client or "none"),
    ]
    body = "".join(f"<tr><th>{escaped(name)}<td><code>{escaped(value)}</code>" for name, value in rows)
    return _document("This connection is secured", f"<table>{body}</table>")


def error_page(title: str, text: str) -> str:
    """A page that says why there is no status page."""
    return _document(title, f"<p>{escaped(text)}")


def _document(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escaped(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escaped(title)}</h1>{content}"
        "<p>Served by the embedded machine of mlsssl.</html>"
    )


def _left(certificate: x509.Certificate, now: datetime) -> str:
    left = certificate.not_valid_after_utc - now
    if left < timedelta(0):
        return "expired"
    days = left // timedelta(days=1)
    return f"{days} day{'' if days == 1 else 's'} left"


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = find_extension(certificate, x509.SubjectAlternativeName)
    except MalformedDataError:
        return []
    if names is None:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    ]
