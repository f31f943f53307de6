"""Odd certificates through every call of the public face: a result, or an error of mlsssl's own, and no warning."""

from __future__ import annotations

import contextlib
import inspect
import io
import warnings
from functools import cached_property
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import odd_certificates
from chains import ec_key
from mlsssl import Certificate, MlssslError, Severity
from mlsssl.testing import memory_machine
from test_wrong_arguments import CALLS, Call, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

KEYS = b"".join(
    key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in (ec_key(3), odd_certificates.ROOT.key)
)


def _loaded(der: bytes) -> Certificate:
    """The certificate, with its private key where that is at hand."""
    certificate = Certificate.from_der(der)
    for key in (ec_key(3), odd_certificates.ROOT.key):
        with contextlib.suppress(MlssslError):
            return certificate.with_key(key)
    return certificate


def _readable() -> Iterator[tuple[str, Certificate]]:
    for label, der in odd_certificates.CERTIFICATES.items():
        with contextlib.suppress(MlssslError):
            yield label, _loaded(der)


READABLE = dict(_readable())


class OddWorld(World):
    """A world whose certificate is an odd one; which knows whether a call had to do with it."""

    odd: Certificate
    asked = False

    @property
    def certificate(self) -> Certificate:  # type: ignore[override]
        self.asked = True
        return self.odd

    @cached_property
    def pfx(self) -> bytes:  # type: ignore[override]
        return self.certificate.to_pfx("secret")


def main() -> None:
    import time, tempfile, pathlib, collections
    spent = collections.Counter(); bad = {}
    warnings.simplefilter("error")
    print(len(READABLE))
    with memory_machine() as machine, contextlib.ExitStack() as opened, tempfile.TemporaryDirectory() as folder:
        world = OddWorld(pathlib.Path(folder), machine, opened)
        for n, (label, one) in enumerate(READABLE.items()):
            world.__dict__.pop("pfx", None)
            world.odd = one
            for name, make in CALLS.items():
                if any(w in name for w in ("Service.", "listen", "Listener", "check_endpoint", "create", "netsh","private_key_pvk", "EmbeddedM", "issue_many", "import_pfx")): continue
                if n > 30 and name not in TOUCH: continue
                world.asked=False
                t=time.perf_counter()
                try: make(world).make()
                except MlssslError: pass
                except BaseException as e:
                    if isinstance(e, KeyboardInterrupt): raise
                    k=(name,type(e).__name__,str(e)[:80]); bad.setdefault(k,[]).append(label)
                spent[name]+=time.perf_counter()-t
                if world.asked: TOUCH.add(name)
    for k,v in bad.items(): print(k,len(v),v[:5])
    print(sum(spent.values()), spent.most_common(30))
TOUCH=set()
if __name__=="__main__": main()
