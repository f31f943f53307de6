"""How control over a name is shown to an ACME server: by a folder, a socket, HTTP.sys' port, DNS, or TLS itself.

Whatever has the methods of `ChallengeSolver` is one; `mlsssl.issuers.acme.AcmeIssuer` takes any number of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mlsssl.issuers._acme.dns import DnsChallenge
from mlsssl.issuers._acme.folder import WebrootChallenge
from mlsssl.issuers._acme.http_sys import HttpSysChallenge
from mlsssl.issuers._acme.socket_server import SocketChallenge
from mlsssl.issuers._acme.tls_alpn import TlsAlpnChallenge

if TYPE_CHECKING:
    from typing import Literal

__all__ = [
    "ChallengeSolver",
    "DnsChallenge",
    "HttpSysChallenge",
    "SettlingSolver",
    "SocketChallenge",
    "TlsAlpnChallenge",
    "WebrootChallenge",
]


@runtime_checkable
class ChallengeSolver(Protocol):
    """Puts the answer to a challenge where the server looks for it, and takes it away again.

    Both methods may be called again with the same arguments, by another process too: `present` after a process was
    killed, since the server may not have looked yet; `cleanup` for what was never presented, or is gone already.
    """

    @property
    def type(self) -> Literal["http-01", "dns-01", "tls-alpn-01"]:
        """Which challenges it answers (RFC 8555 section 8, RFC 8737)."""
        ...

    def present(self, domain: str, token: str, key_authorization: str) -> None:
        """Put the answer where the server looks; return when it can be found there.

        Args:
            domain: The name to show control over, in A-labels and without the `*.` of a wildcard, or an IP address.
            token: The challenge's token: 1 to 512 characters of the alphabet of base64url, so fit for a file's name.
            key_authorization: What is to be shown: as it is for http-01, its SHA-256 for the others.

        Raises:
            MlssslError: it cannot be put there; nothing is asked of the server then.
        """
        ...

    def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
        """Take the answer away, if it is there; arguments as for `present`.

        Raises:
            MlssslError: it is there and cannot be taken away; the next run tries again.
        """
        ...


@runtime_checkable
class SettlingSolver(Protocol):
    """What a solver has besides when its answers take time until the server finds them, as records in DNS do."""

    def settle(self, domain: str, token: str, key_authorization: str) -> None:
        """Return when the answer can be found, after `present`; all answers of an order are presented before.

        Arguments as `ChallengeSolver.present`.

        Raises:
            MlssslError: it does not appear in the time that this solver has for it.
        """
        ...
