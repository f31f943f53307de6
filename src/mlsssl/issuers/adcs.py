"""`AdcsIssuer`: Active Directory Certificate Services, asked by Windows' own `certreq`, its files and exit codes.

No text of `certreq` is parsed, for it is in the language of the system. What becomes of a request is read from the
files that it writes: the certificate, its chain (PKCS#7), and the authority's full response, which is a CMC message
(MS-WCCE, section 2.2.2.8; RFC 5272) and says `pending` with a token that stands for the request's number.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlsssl._changes.record import on_disk
from mlsssl._formats import cmc, pem
from mlsssl._machine import files, private_files, programs
from mlsssl._messages.arguments import check_number, check_type, check_whole, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl.certificate import Certificate, check_certificate
from mlsssl.errors import (
    InvalidInputError,
    IssuePendingError,
    IssuerError,
    MalformedDataError,
    MlssslError,
    NotFoundError,
    UnsupportedError,
)
from mlsssl.request import CertificateRequest
from mlsssl.values import set_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mlsssl._machine.programs import Finished

__all__ = ["AdcsIssuer"]

_CONFIG = re.compile(r"[^\\\"\x00-\x1f-][^\\\"\x00-\x1f]*\\[^\\\"\x00-\x1f]+")
_TEMPLATE = re.compile(r"[^\\:\"\x00-\x1f]{1,255}")
_LIMIT = 1024 * 1024
_MOST_SAID = 500
_UNDER_SUBMISSION = 5
"""CR_DISP_UNDER_SUBMISSION of certcli.h, in case a `certreq` ends with it; none was seen to."""

_KEPT = dt.timedelta(days=90)
"""How long what was handed in is remembered after its last change: longer than a manager needs, and no folder fills."""

_HIGHEST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class _Files:
    """What is kept for one request: what was handed in, and what `certreq` wrote."""

    folder: Path
    name: str

    def __getitem__(self, suffix: str) -> Path:
        return self.folder / f"{self.name}.{suffix}"

    def clear(self, *suffixes: str) -> None:
        """Remove these of its files."""
        for suffix in suffixes:
            files.remove(self[suffix])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A request that was handed in; `numbers` is empty as long as nobody has said its number."""

    begun: dt.datetime
    numbers: tuple[int, ...] = ()


class AdcsIssuer:
    r"""An `Issuer` that is a Microsoft authority (AD CS), asked by `certreq -submit` and `-retrieve`. Immutable.

    The account that runs this needs the right to enroll: on the template, and on the authority. The names of the
    certificate stand in the request; the template has to take them from there ("Supply in the request").

    A request that a manager has to approve raises `IssuePendingError`; its number is kept under the request's
    fingerprint, and the next run asks for the certificate, also after a kill. A request is never handed in twice: when
    nobody knows what became of it, since the process was killed before the authority's answer was read, say, the
    error says so, and `request_id` tells how to go on.

    From Microsoft's documentation, and not yet seen on a real one: that `certreq` writes the full response for a
    request that is pending, and how the token in it is encoded. Every number that it may be is tried, and a certificate
    for another key is refused. Where there is no response to read, the error asks for the number, which the
    authority's console shows.

    Args:
        config: The authority, as `certutil -config - -ping` and its console name it: `HOST\CA name`.
        template: The name of the template (not what it is displayed as), such as `WebServer`; none for an authority
            that has no templates.
        issued_by: The authority's certificate, or several, to tell its own certificates by. When not given, those are
            its own whose issuer's common name is the CA name in `config`.
        request_id: The number of a request that was handed in and whose number is not known here; 0 to hand it in
            again.
        timeout: Seconds for each run of `certreq`, at most 86,400.
        state: The folder for requests that were handed in, made private; `mlsssl/adcs` in the user's application data
            when not given. It holds no private key.
        command: What to run in the place of `certreq`: a program and its first arguments.

    Raises:
        InvalidInputError: an argument that cannot be.
        NotFoundError: no `state`, and this user has no home folder.
        UnsupportedError: there is no `certreq` here.
    """

    __slots__ = ("_authorities", "_command", "_config", "_request_id", "_state", "_template", "_timeout")

    _authorities: tuple[Certificate, ...]
    _command: tuple[str, ...]
    _config: str
    _request_id: int | None
    _state: Path
    _template: str | None
    _timeout: float

    def __init__(
        self,
        config: str,
        *,
        template: str | None = None,
        issued_by: Certificate | Iterable[Certificate] = (),
        request_id: int | None = None,
        timeout: float = 300,
        state: str | os.PathLike[str] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(config, str) or not _CONFIG.fullmatch(config):
            raise InvalidInputError(
                rf"an authority is named HOST\CA name, as its console and certutil show it, not {shown(config)}"
            )
        if template is not None and not (isinstance(template, str) and _TEMPLATE.fullmatch(template)):
            raise InvalidInputError(f"a template has a name such as WebServer, not {shown(template)}")
        if request_id is not None:
            expected = "request_id is the number that the authority shows for the request, or 0 to hand it in again"
            check_whole(request_id, 0, _HIGHEST, expected)
        given = [issued_by] if isinstance(issued_by, Certificate) else issued_by
        found = items_of(given, "issued_by is a certificate, or several in a list")
        set_attributes(
            self,
            _authorities=tuple(check_certificate(one).without_key() for one in found),
            _command=tuple(_certreq() if command is None else programs.checked_command(command)),
            _config=config,
            _request_id=request_id,
            _state=files.absolute(state) if state is not None else files.issuer_folder("adcs"),
            _template=template,
            _timeout=check_number(timeout, 0, 86_400, "timeout is a number of seconds, at most 86400", above=True),
        )

    @property
    def name(self) -> str:
        r"""The authority as `config` names it: `HOST\CA name`."""
        return self._config

    def issued(self, certificate: Certificate) -> bool:
        """Whether `certificate` names the authority as its issuer: by `issued_by`, else by the common name in `config`.

        `MalformedDataError` when its issuer cannot be read.
        """
        issuer = pem.x509_of(check_certificate(certificate)).issuer
        if self._authorities:
            return any(pem.x509_of(one).subject == issuer for one in self._authorities)
        wanted = self._config.partition("\\")[2].casefold()
        return any(
            str(attribute.value).casefold() == wanted
            for attribute in issuer
            if attribute.oid.dotted_string == "2.5.4.3"  # commonName
        )

    def issue(self, request: CertificateRequest, /, *, old: Certificate | None) -> Certificate:
        """Hand the request in, or collect what was handed in before; arguments as `Issuer.issue`, and see the class.

        Raises:
            IssuePendingError: it is not approved yet, or nobody knows its number.
            IssuerError: the authority refuses, or cannot be reached; or `certreq` took too long, or wrote what is no
                answer to this request.
            NotFoundError, AccessDeniedError, NativeError: `certreq` cannot be run, or a file in `state` cannot be read
                or written.
        """
        check_type(request, CertificateRequest, "a CertificateRequest is needed")
        if old is not None:
            check_certificate(old)
        folder = private_files.private_folder(self._state)
        digest = hashlib.sha256(f"{self._config}\n{request.fingerprint}".encode("utf-8", "surrogatepass"))
        kept = _Files(folder, digest.hexdigest()[:40])
        with _locked(folder, kept.name, self._timeout, self._config):
            _tidy_up(folder)
            record = _read(kept["json"])
            if record is not None and self._request_id == 0:
                record = None
            if record is None:
                return self._handed_in(request, kept)
            return self._collected(request, kept, record)

    def __repr__(self) -> str:
        return f"<AdcsIssuer {self._config}>"

    # -- handing in and collecting ----------------------------------------------------------------------------------

    def _handed_in(self, request: CertificateRequest, kept: _Files) -> Certificate:
        record = _Record(begun=dt.datetime.now(dt.timezone.utc))
        kept.clear("cer", "p7b", "rsp")
        with on_disk("write"):
            files.write(kept["csr"], request.to_pem(), private=True)
        _write(kept["json"], record)  # before certreq runs: whatever happens then, it is not handed in twice
        attributes = [] if self._template is None else ["-attrib", f"CertificateTemplate:{self._template}"]
        try:
            done = self._run("-submit", *attributes, *self._common, str(kept["csr"]), *_outputs(kept))
        except MlssslError:
            kept.clear("json")  # it was not started
            raise
        answer = self._looked_at(request, kept, record)
        if answer is not None:
            return answer
        if done.stopped is not None:
            raise IssuerError(
                f"certreq was ended, since it {done.stopped}, and nobody knows whether {self._config} has the request"
                f"{_said(done)}; {_ASK}",
                issuer=self._config,
            )
        if done.code in (0, _UNDER_SUBMISSION):
            raise self._pending(f"has not issued it yet{_said(done)}, and its number is not known here; {_ASK}")
        kept.clear("json")
        raise self._refused(done)

    def _collected(self, request: CertificateRequest, kept: _Files, record: _Record) -> Certificate:
        # Also what a certreq wrote whose caller was killed.
        answer = self._looked_at(request, kept, record)
        if answer is not None:
            return answer
        record = _read(kept["json"]) or record
        numbers = record.numbers or (() if self._request_id is None else (self._request_id,))
        if not numbers:
            raise self._pending(
                f"was handed the request on {record.begun:%Y-%m-%d %H:%M} UTC, and its number is not known here; {_ASK}"
            )
        failed = None
        for number in numbers:
            kept.clear("cer", "p7b", "rsp")
            done = self._run("-retrieve", *self._common, str(number), *_outputs(kept))
            try:
                answer = self._looked_at(request, kept, record, number)
            except IssuePendingError:
                raise
            except IssuerError as error:
                failed = failed or error
                continue
            if answer is not None:
                return answer
            if done.stopped is not None:
                raise IssuerError(f"certreq was ended, since it {done.stopped}", issuer=self._config)
            if done.code in (0, _UNDER_SUBMISSION):
                _write(kept["json"], replace(record, numbers=numbers))
                raise self._pending(f"has not issued request {number} yet{_said(done)}; {_LATER}")
            failed = failed or self._refused(done)
        assert failed is not None
        raise failed

    def _looked_at(
        self, request: CertificateRequest, kept: _Files, record: _Record, number: int | None = None
    ) -> Certificate | None:
        """The certificate that a run of certreq wrote, for this `number` if it is known; None when there is nothing.

        `IssuePendingError` and `IssuerError` by the authority's response.
        """
        answer = _certificate(kept, self._config)
        if answer is not None and not request.matches(answer):
            kept.clear("cer", "p7b", "rsp")
            raise IssuerError(
                f"what {self._config} gave{'' if number is None else f' for request {number}'} is for another key than "
                "that of the request: the number is another request's",
                issuer=self._config,
            )
        if answer is not None:
            return answer if self.issued(answer) else self._of_another(answer)
        status = _status(kept["rsp"], self._config)
        if status is None:
            return None
        text = f": {status.text[:_MOST_SAID]}" if status.text else ""
        if status.code == cmc.PENDING:
            numbers = (record.numbers or _numbers_in(status.token)) if number is None else (record.numbers or (number,))
            _write(kept["json"], replace(record, numbers=numbers))
            kept.clear("rsp")  # its word is in the record now
            if not numbers:
                raise self._pending(f"has not issued it yet{text}, and its number is not known here; {_ASK}")
            raise self._pending(f"has not issued request {number or numbers[0]} yet{text}; {_LATER}")
        if status.code == cmc.FAILED:
            kept.clear("json", "rsp")  # an answer: the next try hands it in again
            raise IssuerError(f"{self._config} refuses the request{text}", issuer=self._config)
        return None

    def _of_another(self, answer: Certificate) -> Certificate:
        raise IssuerError(
            f"{self._config} gave a certificate of {answer.issuer}, which is another authority than "
            f"{'issued_by says' if self._authorities else _NAMED}; give its certificate as issued_by",
            issuer=self._config,
        )

    @property
    def _common(self) -> tuple[str, ...]:
        # -q: no dialogue, for nobody is there to answer it; -f: replace what an earlier run has left.
        return ("-config", self._config, "-q", "-f")

    def _run(self, *arguments: str) -> Finished:
        return programs.run(
            (*self._command, *arguments), input=b"", timeout=self._timeout, environment=None, limit=_LIMIT
        )

    def _pending(self, text: str) -> IssuePendingError:
        return IssuePendingError(f"{self._config} {text}", issuer=self._config)

    def _refused(self, done: Finished) -> IssuerError:
        assert done.code is not None
        code = done.code & _HIGHEST
        shown_code = f"{code:#010x}" if code > 0xFFFF else str(code)
        return IssuerError(
            f"{self._config} gave no certificate: certreq ended with {shown_code}{_said(done)}", issuer=self._config
        )


_NAMED = r"CA in HOST\CA"
_LATER = "when a manager has approved it, the next try collects the certificate"
_ASK = (
    "look it up in the authority's console, pending or issued, and give its number as request_id; 0 hands the request "
    "in again"
)


def _certreq() -> list[str]:
    if sys.platform == "win32":
        return [os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "certreq.exe")]  # noqa: PTH118
    found = shutil.which("certreq")
    if found is None:
        raise UnsupportedError(
            "AD Certificate Services is asked by certreq, a program of Windows, and there is none here; make the "
            "request here (CertificateRequest.create) and hand it in there"
        )
    return [found]


def _outputs(kept: _Files) -> tuple[str, str, str]:
    return str(kept["cer"]), str(kept["p7b"]), str(kept["rsp"])


def _certificate(kept: _Files, name: str) -> Certificate | None:
    """What stands in the file of the certificate, with the chain from its own file; None when there is none."""
    try:
        answer = Certificate.from_bytes(files.read(kept["cer"], limit=_LIMIT)).without_key()
    except NotFoundError:
        return None
    except MalformedDataError as error:
        raise IssuerError(f"certreq wrote no certificate of {name} that can be read: {error}", issuer=name) from error
    with contextlib.suppress(NotFoundError, MalformedDataError):  # a convenience of certreq's; the certificate counts
        answer = answer.with_chain([*answer.chain, *Certificate.load_all(kept["p7b"])])
    return answer


def _status(path: Path, name: str) -> cmc.Status | None:
    try:
        return cmc.load_status(files.read(path, limit=_LIMIT))
    except NotFoundError:
        return None
    except MalformedDataError as error:
        raise IssuerError(f"the response of {name} in {path} cannot be read: {error}", issuer=name) from error


def _numbers_in(token: bytes) -> tuple[int, ...]:
    """What request's number a token may stand for; RFC 5272 leaves its encoding to the authority."""
    text = token.replace(b"\0", b"")  # digits, also in UTF-16
    if text.isdigit() and len(text) <= 10:
        found = [int(text)]
    elif 1 <= len(token) <= 8:
        found = [int.from_bytes(token, order) for order in ("little", "big")]
    else:
        found = []
    return tuple(sorted({number for number in found if 0 < number <= _HIGHEST}))  # they count from 1


def _said(done: Finished) -> str:
    # For people, as it stands: it may name the reason, and the number.
    raw = (done.output + b" " + done.error)[: 8 * _MOST_SAID]
    text = " ".join(raw.decode("oem" if sys.platform == "win32" else "utf-8", "replace").split())
    return f" ({text[:_MOST_SAID]})" if text else ""


# -- what is kept ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path, name: str, timeout: float, config: str) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(private_files.lock(folder / f"{name[:2]}.lock", timeout=timeout))
        except TimeoutError as error:
            raise IssuerError(f"another process has been asking {config}: {error}", issuer=config) from None
        yield


def _read(path: Path) -> _Record | None:
    try:
        data = private_files.read_private(path, limit=_LIMIT)
    except NotFoundError:
        return None
    try:
        read = json.loads(data)
        begun = dt.datetime.fromisoformat(str(read["begun"]))
        numbers = tuple(int(number) for number in read["numbers"])
        if begun.tzinfo is None or any(not 0 < number <= _HIGHEST for number in numbers):
            raise ValueError("out of range")
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedDataError(
            f"{path} is damaged ({type(error).__name__}); put it back from a backup, or remove it to hand the request "
            "in again"
        ) from None
    return _Record(begun=begun, numbers=numbers)


def _write(path: Path, record: _Record) -> None:
    data = {"begun": record.begun.isoformat(), "numbers": list(record.numbers)}
    with on_disk("write"):
        files.write(path, json.dumps(data).encode("ascii"), private=True)


def _tidy_up(folder: Path) -> None:
    """Remove what was last changed long ago; a lock stays, for somebody may hold it."""
    before = (dt.datetime.now(dt.timezone.utc) - _KEPT).timestamp()
    for path in files.entries(folder):
        with contextlib.suppress(OSError, MlssslError):
            if path.suffix != ".lock" and path.stat().st_mtime < before:
                files.remove(path)
