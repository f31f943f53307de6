"""A stand-in for Windows' `certreq`: `-submit` and `-retrieve` of an authority that lives in a folder.

As a program it is given the folder in `STAND_IN_CA`. What it prints is German, since nobody may read it; what counts
are files and exit codes. Its full responses are CMC messages (RFC 5272), put together here.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlsssl import Certificate

DENIED, UNREACHABLE = 0x80094014 & 0xFF, 0xBA  # an exit code has eight bits on POSIX


@dataclass
class Behaviour:
    """How the authority behaves.

    Attributes:
        answer: `approve`, `pend`, `deny` or `unreachable`.
        form: What the certificate's file holds: `pem`, `der` or `p7b`.
        token: How the number stands in the response: `little`, `big`, `text` or `strange`.
        response: Whether it writes a full response.
        asks: How often `-retrieve` is asked before a manager approves by himself; None for never.
        waits: Whether it waits, when it has the request, until the file `go` is there.
    """

    answer: str = "approve"
    form: str = "pem"
    token: str = "little"
    response: bool = True
    asks: int | None = None
    waits: bool = False


def prepare(folder: Path, **changes: object) -> None:
    """Make the authority, or change how it behaves."""
    from mlsssl import CertificateAuthority

    folder.mkdir(exist_ok=True)
    if not (folder / "ca.pem").exists():
        root = CertificateAuthority.create("Corporate Root", key="ec-p256")
        issuing = root.create_intermediate("Issuing CA 1", key="ec-p256")
        issuing.save(folder / "ca.pem", no_password=True)
    (folder / "behaviour.json").write_text(json.dumps(asdict(Behaviour(**changes))))  # type: ignore[arg-type]


def requests(folder: Path) -> list[Path]:
    """What was handed in."""
    return sorted(folder.glob("*.csr"))


def main(folder: Path, words: list[str]) -> int:
    """What `certreq` does with these arguments."""
    behaviour = Behaviour(**json.loads((folder / "behaviour.json").read_text()))
    verb, options, places = words[0], {}, []
    rest = iter(words[1:])
    for word in rest:
        if word in ("-config", "-attrib"):
            options[word] = next(rest)
        elif not word.startswith("-"):
            places.append(word)
    source, *outputs = places
    certificate, chain, response = map(Path, outputs)
    if behaviour.answer == "unreachable":
        _say("Der RPC-Server ist nicht verfügbar. 0x800706ba")
        return UNREACHABLE
    if verb == "-submit":
        number = len(requests(folder)) + 5
        (folder / f"{number}.csr").write_bytes(Path(source).read_bytes())
        (folder / f"{number}.json").write_text(json.dumps(options))
        while behaviour.waits and not (folder / "go").exists():
            time.sleep(0.02)
    else:
        number = int(source)
    handed_in = folder / f"{number}.csr"
    if not handed_in.exists():
        _say("Das Element wurde nicht gefunden.")
        return 0x90
    asked = folder / f"{number}.asked"
    if verb == "-retrieve":
        asked.write_text(asked.read_text() + "x" if asked.exists() else "x")
    _say(f"Anforderungs-ID: {number}")
    if behaviour.answer == "deny":
        if behaviour.response:
            response.write_bytes(_response(2, "Vom Richtlinienmodul verweigert", b""))
        return DENIED
    times = len(asked.read_text()) if asked.exists() else 0
    approved = (folder / f"{number}.approved").exists() or (behaviour.asks is not None and times > behaviour.asks)
    if behaviour.answer == "pend" and not approved:
        if behaviour.response:
            response.write_bytes(_response(3, "Zur Verarbeitung übernommen", _token(number, behaviour.token)))
        return 0
    from mlsssl import CertificateAuthority, CertificateRequest  # not for those that end before: it takes its time

    made = CertificateAuthority.load(folder / "ca.pem").sign(CertificateRequest.load(handed_in))
    _write(certificate, chain, made, behaviour.form)
    return 0


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # as a program in C, which goes on when nobody reads it any more
        os.write(1, f"{text}\n".encode())


def _write(certificate: Path, chain: Path, made: Certificate, form: str) -> None:
    certificate.write_bytes({"pem": made.to_pem(), "der": made.to_der(), "p7b": made.to_pkcs7()}[form])
    chain.write_bytes(made.to_pkcs7(encoding="pem"))


def _token(number: int, kind: str) -> bytes:
    if kind == "text":
        return str(number).encode("utf-16-le")
    return b"?" * 40 if kind == "strange" else number.to_bytes(4, kind)  # type: ignore[arg-type]


def _response(status: int, text: str, token: bytes) -> bytes:
    from mlsssl._formats import der
    from mlsssl._formats.identifiers import SIGNED_DATA
    from mlsssl._formats.parsed import armour

    pending = der.write_sequence(der.write(der.OCTET_STRING, token), der.write(0x18, b"20261129100000Z"))
    information = der.write_sequence(
        der.write_number(status),
        der.write_sequence(der.write_number(1)),
        der.write(0x0C, text.encode()),
        pending if token else der.write_number(2),
    )
    control = der.write_sequence(
        der.write_number(1), der.write_oid("1.3.6.1.5.5.7.7.1"), der.write(der.SET, information)
    )
    body = der.write_sequence(der.write_sequence(control), der.write_sequence(), der.write_sequence())
    content = der.write_sequence(
        der.write_oid("1.3.6.1.5.5.7.12.3"), der.write(der.EXPLICIT_0, der.write(der.OCTET_STRING, body))
    )
    signed = der.write_sequence(der.write_number(3), der.write(der.SET), content, der.write(der.SET))
    whole = der.write_sequence(der.write_oid(SIGNED_DATA), der.write(der.EXPLICIT_0, signed))
    return armour(b"PKCS7", whole)


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["STAND_IN_CA"]), sys.argv[1:]))
