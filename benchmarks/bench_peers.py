"""The same work by other programs, in the same run: trustme, OpenSSL's command line, certbot's `acme`.

Nothing was promised of these, so none fails. (`cryptography`'s verifier is in bench_validate.py.)

trustme: a server certificate with a new P-256 key, from an authority with such a key, as PEM with its key.

OpenSSL: a process in turn with a process of `python -m mlsssl`, and with a call here, which starts no Python. What our
commands take is Python's start and the import of `cryptography`. `mlsssl check` goes by every rule, `openssl verify` by
the chain, dates and name; a PFX is read by `mlsssl show`, which tells of it, and by `openssl pkcs12`, which writes PEM.

`acme`: from no account to the chain of a certificate for one name by http-01, from Pebble on loopback. Counted is the
processor time of this process; Pebble and the site that it looks at are processes of their own. Both send the same ten
requests, ours with the messages of `acme`; it adds checks of the answers, and nine files, synced, by which another
process goes on with an order.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import math
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import trustme
from processes import PYTHON, compiled, cost
from processes import compare as compare_processes
from ratios import Ratio, compare, report, spread

from mlsssl import Certificate, CertificateAuthority, CertificateRequest
from mlsssl.issuers.acme import AcmeIssuer
from mlsssl.issuers.challenges import WebrootChallenge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import acme_servers

HOST = "server-name.com"
PASSWORD = "password"


def by_trustme() -> Ratio:
    """A server certificate with a new key."""
    ours, theirs = CertificateAuthority.create("SelfIssuedCA", key="ec-p256"), trustme.CA()

    def issued() -> tuple[bytes, bytes]:
        made = ours.issue(HOST, key="ec-p256")
        return made.private_key_pem(), made.to_pem()

    name = "issue with a new P-256 key / trustme"
    return compare(name, issued, lambda: theirs.issue_cert(HOST), bound=math.inf, repeat=100)


EXTENSIONS = f"""basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:{HOST}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
COMMANDS = {  # ours, and OpenSSL's
    "sign a request, P-256": (
        "request sign {0}/leaf.csr --ca {0}/ca.pem --out {0}/ours.pem --overwrite",
        "x509 -req -in {0}/leaf.csr -CA {0}/ca.pem -days 199 -extfile {0}/extensions -out {0}/theirs.pem",
    ),
    "check a certificate, P-256": (
        "check {0}/leaf.pem --trust {0}/root.pem --host {1}",
        "verify -x509_strict -purpose sslserver -verify_hostname {1} -CAfile {0}/root.pem {0}/leaf.pem",
    ),
    "write a PFX, P-256, AES": (
        "pfx {0}/leaf.pem --out {0}/ours.pfx --password env:PASSWORD --overwrite --readable-by windows-server-2019",
        "pkcs12 -export -in {0}/leaf.pem -out {0}/theirs.pfx -passout env:PASSWORD",
    ),
    "read a PFX, P-256, 3DES": (
        "show {0}/leaf.pfx --password env:PASSWORD",
        "pkcs12 -in {0}/leaf.pfx -passin env:PASSWORD -noenc -out {0}/theirs.key",
    ),
}


def by_openssl(folder: Path, openssl: str) -> Iterator[Ratio]:
    """Process against process, then call against process."""
    authority = CertificateAuthority.create("SelfIssuedCA", key="ec-p256")
    leaf, request = authority.issue(HOST, key="ec-p256"), CertificateRequest.create(HOST, key="ec-p256")
    pem, pfx = folder / "leaf.pem", leaf.to_pfx(PASSWORD)
    authority.save(folder / "ca.pem", no_password=True)
    leaf.save(pem, no_password=True)
    (folder / "root.pem").write_bytes(authority.certificate.to_pem())
    (folder / "leaf.csr").write_bytes(request.to_pem())
    (folder / "leaf.pfx").write_bytes(pfx)
    (folder / "extensions").write_text(EXTENSIONS)
    calls: list[Callable[[], object]] = [
        lambda: authority.sign(request),
        lambda: Certificate.load(pem).check(HOST, trust=[authority]),
        lambda: leaf.to_pfx(PASSWORD, readable_by="windows-server-2019"),
        lambda: Certificate.from_pfx(pfx, PASSWORD),
    ]
    with compiled() as environment:
        environment["PASSWORD"] = PASSWORD
        for (name, texts), call in zip(COMMANDS.items(), calls, strict=True):
            ours, theirs = ([word.format(folder, HOST) for word in text.split()] for text in texts)
            command, peer = [PYTHON, "-m", "mlsssl", *ours], [openssl, *theirs]
            label = f"{name}, a process / openssl"
            yield compare_processes(label, command, peer, bound=math.inf, environment=environment, rounds=9)
            yield call_against_process(f"{name}, a call / openssl, a process", call, peer, environment)


def call_against_process(
    name: str, call: Callable[[], object], command: list[str], environment: dict[str, str], rounds: int = 9
) -> Ratio:
    """A call in this process in turn with a process."""
    assert call(), name
    rows = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(20):
            call()
        rows.append(((time.process_time() - start) / 20, cost(command, environment)))
    ratios = [ours / theirs for ours, theirs in rows]
    ours, theirs = (statistics.median(column) * 1e3 for column in zip(*rows, strict=True))
    detail = f"{ours:.2f} ms against {theirs:.1f} ms; {spread(ratios)}"
    return Ratio(name, statistics.median(ratios), math.inf, detail=detail)


@contextlib.contextmanager
def site(folder: Path, port: int) -> Iterator[None]:
    """A process that serves a folder where Pebble looks."""
    command = [PYTHON, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


class Orders:
    """The same order by both, each time with a new account."""

    def __init__(self, server: acme_servers.Pebble, web: Path, folder: Path) -> None:
        self._server, self._web, self._folder = server, web, folder
        self._numbers = itertools.count()

    def by_mlsssl(self) -> bytes:
        issuer = AcmeIssuer(
            self._server.directory,
            [WebrootChallenge(self._web)],
            agree_terms=True,
            trust=self._server.trust,
            state=self._folder / f"state-{next(self._numbers)}",
        )
        made = issuer.issue(CertificateRequest.create(HOST, key="ec-p256"))
        return b"".join(one.to_pem() for one in (made, *made.chain))

    def by_acme(self) -> bytes:
        """As its documentation and certbot do it."""
        from acme import challenges, client, crypto_util, messages
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
        from josepy.jwa import ES256
        from josepy.jwk import JWKEC

        account = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        trust: Any = str(self._server.trust)  # a file, as requests takes
        network = client.ClientNetwork(account, alg=ES256, verify_ssl=trust)
        directory = client.ClientV2.get_directory(self._server.directory, network)
        asked = client.ClientV2(directory, network)
        asked.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        order = asked.new_order(crypto_util.make_csr(pem, [HOST]))
        (authorization,) = order.authorizations
        chosen = next(one for one in authorization.body.challenges if isinstance(one.chall, challenges.HTTP01))
        response, validation = chosen.response_and_validation(account)
        file = self._web / chosen.chall.path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(validation)
        try:
            asked.answer_challenge(chosen, response)
            done = asked.poll_and_finalize(order, dt.datetime.now() + dt.timedelta(seconds=60))  # noqa: DTZ005 -- its own
        finally:
            file.unlink()
        return done.fullchain_pem.encode()


def by_acme(folder: Path, rounds: int = 7) -> Ratio:
    """The whole order."""
    web = folder / "site"
    web.mkdir()
    refuse_no_nonce = {"PEBBLE_WFE_NONCEREJECT": "0"}
    with acme_servers.pebble(folder / "pebble", environment=refuse_no_nonce) as server, site(web, server.http_port):
        orders = Orders(server, web, folder)
        works = (orders.by_mlsssl, orders.by_acme)
        rows = []
        for number in range(rounds + 1):
            turn = [0.0, 0.0]
            for which in (0, 1) if number % 2 else (1, 0):
                start = time.process_time()
                chain = works[which]()
                turn[which] = time.process_time() - start
                assert chain.count(b"BEGIN CERTIFICATE") == 2, chain
            rows.append(turn)
    ratios = [ours / theirs for ours, theirs in rows[1:]]  # the first ones import
    ours, theirs = (statistics.median(column) * 1e3 for column in zip(*rows[1:], strict=True))
    detail = f"{ours:.1f} ms against {theirs:.1f} ms; {spread(ratios)}"
    return Ratio("an order, from account to chain / certbot's acme", statistics.median(ratios), math.inf, detail=detail)


def main() -> int:
    """Exit code 0: nothing was promised."""
    found = [by_trustme()]
    openssl, pebble = shutil.which("openssl"), shutil.which("pebble")
    with TemporaryDirectory() as name:
        folder = Path(name)
        if openssl and sys.platform != "win32":
            found += by_openssl(folder, openssl)
        else:
            print("OpenSSL's command line is not measured: it is not here, or Windows tells no child's cost")
        if pebble:
            found.append(by_acme(folder))
        else:
            print("certbot's acme is not measured: Pebble is not here")
    return report(found)


if __name__ == "__main__":
    sys.exit(main())
