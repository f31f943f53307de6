"""The issuers that are picked out of a machine's stores by names lead where all that the stores hold would lead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from chains import NOW, ec_key, intermediate, key_id, leaf, oid, root, spki_of, tlv
from mlsssl import Certificate
from mlsssl._deploy.issuers import KnownIssuers
from mlsssl._formats.parsed import View
from mlsssl._formats.pem import load_der
from mlsssl._machine.authorities import MAX_DEPTH, Authorities
from mlsssl._machine.stores import thumbprint_of
from mlsssl._validator.path import PathSearch, TrustAnchors
from mlsssl._validator.profiles import PROFILES
from mlsssl.testing import memory_machine
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from chains import Made
    from mlsssl import EmbeddedMachine
    from mlsssl._validator.path import PathResult

STORES = ("CA", "Root", "AuthRoot")


def _written(tag: int, text: str) -> bytes:
    return tlv(0x30, tlv(0x31, tlv(0x30, oid("2.5.4.3"), tlv(tag, text.encode()))))


# The first two of each are one name for the validator, and the third another in octets that cryptography refuses.
NAMES = [
    written
    for number in range(3)
    for written in (
        _written(0x0C, f"Authority {number}"),
        _written(0x13, f"AUTHORITY  {number}"),
        _written(0x13, f"a*{number}"),
    )
]
KEYS = [ec_key(200 + number) for number in range(4)]

names = st.sampled_from(NAMES)
keys = st.sampled_from(KEYS)


@st.composite
def authorities(draw: st.DrawFn) -> Made:
    """A root, or an intermediate whose issuer's name or key may be nobody's."""
    subject, key = draw(names), draw(keys)
    issuer, signer = (subject, key) if draw(st.booleans()) else (draw(names), draw(keys))
    made = intermediate(root(key=signer), "any", 2, path_length=draw(st.sampled_from([None, 0])))
    made = replace(made, subject=subject, issuer=issuer, key=key, signer=signer, serial=draw(st.integers(1, 2)))
    return made.with_extension(x509.SubjectKeyIdentifier(key_id(spki_of(key))))


places = st.sets(st.sampled_from([*STORES, "Disallowed", "archived"]), max_size=3)


def _put(machine: EmbeddedMachine, made: Made, where: set[str]) -> None:
    for name in where - {"archived"}:
        store = machine.port.open_store(name, "LocalMachine", write=True)
        store.add(made.der(), None, friendly_name=None, exportable=False, provider=None)
        store.set_archived(thumbprint_of(made.der()), "archived" in where)


def _with_everything(machine: EmbeddedMachine, below: Made) -> PathResult:
    """The way among all that the stores hold."""
    opened = {name: machine.port.open_store(name, "LocalMachine") for name in (*STORES, "Disallowed")}
    disallowed = {record.certificate for record in opened["Disallowed"].records()}
    held = {name: [load_der(one.certificate) for one in opened[name].records()] for name in STORES}
    allowed = {name: [one for one in several if View(one).der not in disallowed] for name, several in held.items()}
    pool = [View(one) for name in STORES for one in allowed[name]]
    anchors = TrustAnchors(
        [*(view.certificate for view in pool if view.is_root), *allowed["Root"], *allowed["AuthRoot"]]
    )
    return PathSearch(
        View(below.certificate()), anchors=anchors, pool=pool, at=NOW, profile=PROFILES["private"], max_depth=MAX_DEPTH
    ).run()


@pytest.fixture(name="no_roots", scope="module")
def _no_roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file of the operating system's roots without any."""
    path = tmp_path_factory.mktemp("roots") / "none.pem"
    path.write_bytes(b"")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(path))
        yield path


@pytest.mark.usefixtures("no_roots")
@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(st.tuples(authorities(), places), max_size=8),
    st.lists(st.tuples(names, keys, places), min_size=1, max_size=3),
)
def test_the_way_is_the_one_among_all_that_the_stores_hold(
    above: list[tuple[Made, set[str]]], below: list[tuple[bytes, ec.EllipticCurvePrivateKey, set[str]]]
) -> None:
    """The same certificates and the same findings, for one leaf after the other, and for all announced together."""
    with memory_machine() as machine:
        leaves = []
        for made, where in above:
            _put(machine, made, where)
        for number, (issuer, signer, where) in enumerate(below):
            made = replace(leaf(root(key=signer), f"{number}.test", number=300 + number), issuer=issuer)
            _put(machine, made, where)
            leaves.append(made)
        certificates = [Certificate.from_der(made.der()) for made in leaves]
        together = KnownIssuers(machine.port)
        together.expect(certificates, self_issued=False)
        one_by_one = KnownIssuers(machine.port, Authorities(machine.port))
        for made, certificate in zip(leaves, certificates, strict=True):
            wanted = _with_everything(machine, made)
            for known in (together, one_by_one):
                found = known.way_up(certificate, NOW)
                assert [view.der for view in found.path] == [view.der for view in wanted.path]
                assert (found.trusted, found.findings) == (wanted.trusted, wanted.findings)
