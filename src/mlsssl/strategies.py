"""Hypothesis strategies for everything this library has values for; needs the extra `testing`.

All have plural names and keyword-only arguments, generate everything legal by default, raise
`hypothesis.errors.InvalidArgument` on drawing when an argument cannot mean anything, and shrink to the simplest value.
Keys come from small numbers and signatures are deterministic, so drawing costs no key generation and an example is
the same, byte for byte, every time. Such keys are public knowledge: never let one out of a test.

Certificates are issued at `at=`, by default `CLOCK`, a fixed moment: judge them at that moment.
"""

from mlsssl._strategies.bindings import (
    NetshLine,
    binding_keys,
    binding_options,
    bindings,
    machines,
    netsh_lines,
    thumbprint_texts,
    thumbprints,
)
from mlsssl._strategies.certificates import (
    FAULT_CODES,
    NEAR_MISSES,
    NameKind,
    PfxFile,
    authorities,
    certificates,
    chains,
    faulty_chains,
    keys,
    names,
    pfx_files,
)
from mlsssl._strategies.chain import Chain
from mlsssl._strategies.common import CLOCK
from mlsssl._strategies.reservations import reservations, url_prefixes

__all__ = [
    "CLOCK",
    "FAULT_CODES",
    "NEAR_MISSES",
    "Chain",
    "NameKind",
    "NetshLine",
    "PfxFile",
    "authorities",
    "binding_keys",
    "binding_options",
    "bindings",
    "certificates",
    "chains",
    "faulty_chains",
    "keys",
    "machines",
    "names",
    "netsh_lines",
    "pfx_files",
    "reservations",
    "thumbprint_texts",
    "thumbprints",
    "url_prefixes",
]
