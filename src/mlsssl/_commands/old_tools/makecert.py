"""`mlsssl makecert`: MakeCert's command line, word for word, for what concerns server certificates.

The options are those of Microsoft's page "MakeCert" (Windows SDK) and of the help that the tool printed. What is
made is better than what MakeCert made: SHA-2, at least 2048 bits, subjectAltName, basicConstraints, key identifiers
and dates that clients accept.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlsssl._commands.old_tools.command_lines import explain, parse_options
from mlsssl._commands.old_tools.makecert_line import OPTIONS, check
from mlsssl._issue.keys import check_key_type, make_key
from mlsssl._messages.foreign_text import shown
from mlsssl.authority import CertificateAuthority
from mlsssl.certificate import Certificate
from mlsssl.errors import InvalidInputError, NotFoundError
from mlsssl.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlsssl._commands.old_tools.command_lines import AskPassword, Parsed
    from mlsssl._commands.old_tools.makecert_line import Wanted
    from mlsssl._formats.keys import PrivateKey
    from mlsssl.machine import Machine


def run(
    argv: Sequence[str],
    *,
    machine: Machine | None,
    ask_password: AskPassword,
    out: Callable[[str], object],
    explain_only: bool = False,
) -> int:
    """Run a MakeCert command line.

    Args:
        argv: The words after `makecert`.
        machine: Whose stores `-ss` and `-is` mean; this computer's when None.
        ask_password: Asked for each .pvk file that is encrypted or made.
        out: Takes the lines to print.
        explain_only: Print the modern call instead of doing anything.

    Returns:
        0.

    Raises:
        InvalidInputError: an option that is unknown, impossible or cannot be honoured; the message names it.
        MlssslError: whatever reading, issuing and writing can raise.
    """
    parsed = parse_options("makecert", argv, OPTIONS)
    if parsed.flag("?") or parsed.flag("!"):
        out("makecert [options] outputCertificateFile")
        for name, option in OPTIONS.items():
            out(f"  -{name} {option.value or ''}{' (refused)' if option.refused else ''}".rstrip())
        return 0
    wanted = check(parsed)
    if explain_only:
        _explain(wanted, parsed, out)
        return 0
    key = _existing_key(wanted, ask_password)
    certificate = _make(wanted, key, parsed, machine, ask_password)
    if wanted.key_file is not None and key is None:
        _write_key(wanted, certificate, ask_password)
        out(f"private key: {wanted.key_file}")
    if wanted.certificate_file is not None:
        _write_certificate(certificate, wanted.certificate_file)
        out(f"certificate: {wanted.certificate_file}")
    if wanted.store is not None:
        with Store.open(wanted.store, location=wanted.location, machine=machine, create=True) as store:
            store.add(certificate, exportable=wanted.exportable)
        out(f"store: {wanted.location}\\{wanted.store}")
        if wanted.location == "CurrentUser":
            out("note: HTTP.sys reads LocalMachine only; say -sr localmachine for a server certificate")
    out(f"thumbprint: {certificate.thumbprint}")
    out("Succeeded")
    return 0


def _existing_key(wanted: Wanted, ask_password: AskPassword) -> PrivateKey | None:
    """The key in the file of -sv, when it is there already: MakeCert takes it."""
    from mlsssl._formats import pvk
    from mlsssl._machine import files

    if wanted.key_file is None:
        return None
    try:
        data = files.read(wanted.key_file)
    except NotFoundError:
        return None
    encrypted = data[12:16] != bytes(4)
    password = ask_password(f"password of {wanted.key_file}", new=False) if encrypted else None
    return pvk.load_pvk(data, password).private_key


def _make(
    wanted: Wanted, key: PrivateKey | None, parsed: Parsed, machine: Machine | None, ask_password: AskPassword
) -> Certificate:
    first = wanted.common_names[0]
    if wanted.self_signed:
        private_key = key or make_key(wanted.key_type or ("rsa-3072" if wanted.authority else "rsa-2048"))
        made = _self_signed(wanted, private_key)
    else:
        issuer = _issuer(parsed, machine, ask_password)
        # A .pvk holds RSA keys only, whatever the issuer's kind.
        kind = "rsa-2048" if wanted.key_file else issuer.key_type
        private_key = key or make_key(wanted.key_type or check_key_type(kind))
        at, days = wanted.dates(1826 if wanted.authority else 199)
        if wanted.authority:
            below = issuer.create_intermediate(
                first, key=private_key, days=days, at=at, serial=wanted.serial, path_length=wanted.path_length
            )
            made = below.certificate.with_key(private_key)
        else:
            made = issuer.issue(
                *wanted.common_names, key=private_key, days=days, at=at, serial=wanted.serial, common_name=first
            )
    return made.with_friendly_name(wanted.friendly_name) if wanted.friendly_name else made


def _self_signed(wanted: Wanted, key: PrivateKey) -> Certificate:
    first = wanted.common_names[0]
    at, days = wanted.dates(3652 if wanted.authority else 199)
    at = at or dt.datetime.now(dt.timezone.utc)  # one moment for both certificates, or the second outlives the first
    root = CertificateAuthority.create(
        first,
        key=key,
        days=days,
        at=at,
        serial=wanted.serial,
        path_length=1 if wanted.path_length is None else wanted.path_length,
    )
    if wanted.authority:
        return root.certificate.with_key(key)
    # An authority and a server of one name and one key: the certificate is its own issuer.
    signed = root.issue(*wanted.common_names, key=key, days=days, at=at, serial=wanted.serial, common_name=first)
    return Certificate(signed.to_cryptography(), private_key=key)


def _issuer(parsed: Parsed, machine: Machine | None, ask_password: AskPassword) -> CertificateAuthority:
    from mlsssl._machine import files

    certificate_file, key_file = parsed.text("ic"), parsed.text("iv")
    if certificate_file is not None:
        if key_file is None:
            raise InvalidInputError("makecert -ic needs -iv FILE.pvk, the issuer's private key")
        # Only a PVK says in the clear whether it is encrypted; any other file is tried without a password first.
        header = files.read(Path(key_file))[:16]
        encrypted = header[:4] == b"\x1e\xf1\xb5\xb0" and header[12:16] != bytes(4)
        password = ask_password(f"password of {key_file}", new=False) if encrypted else None
        return CertificateAuthority.load(certificate_file, key=key_file, key_password=password)
    name = parsed.text("in")
    location: Literal["LocalMachine", "CurrentUser"] = (
        "LocalMachine" if (parsed.text("ir") or "").lower() == "localmachine" else "CurrentUser"
    )
    with Store.open(parsed.text("is") or "MY", location=location, machine=machine) as store:
        found = [entry for entry in store if entry.certificate.is_ca and name in (None, entry.certificate.common_name)]
        if len(found) != 1:
            raise NotFoundError(
                f"{len(found)} authorities in {location}\\{store.name} fit -in {shown(name)}; exactly one has to"
            )
        return CertificateAuthority(store.export(found[0].thumbprint))


def _write_key(wanted: Wanted, certificate: Certificate, ask_password: AskPassword) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    from mlsssl._formats import pvk
    from mlsssl._machine import files

    assert wanted.key_file is not None
    key = certificate.private_key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidInputError(f"{wanted.key_file}: a .pvk holds RSA keys only")
    password = ask_password(f"new password for {wanted.key_file}", new=True)
    files.write(wanted.key_file, pvk.serialize_pvk(key, password, key_spec=wanted.key_spec), private=True)


def _write_certificate(certificate: Certificate, path: Path) -> None:
    from mlsssl._machine import files

    files.write(path, certificate.to_der(), private=False)


def _explain(wanted: Wanted, parsed: Parsed, out: Callable[[str], object]) -> None:
    first = wanted.common_names[0]
    names = ", ".join(f'"{name}"' for name in wanted.common_names)
    where = wanted.certificate_file or Path("certificate.cer")
    pfx = where.with_suffix(".pfx")
    if wanted.self_signed and wanted.authority:
        explain(
            out,
            command_line=f'mlsssl ca create "{first}" --out {pfx} --certificate-out {where}',
            python=f'ca = CertificateAuthority.create("{first}")\nca.save("{pfx}", password=...)',
            better=(
                "the root says that it is an authority (basicConstraints), which clients other than Windows want",
                "certificate and private key are in one file, readable by its owner only",
                "the key is encrypted after thousands of rounds of hashing; a .pvk uses RC4 after one",
                "name constraints can limit what it may issue for (permitted=, excluded=)",
            ),
        )
        return
    issuer = parsed.text("ic") or "ca.pfx"
    explain(
        out,
        command_line=f"mlsssl issue {' '.join(wanted.common_names)} --ca {issuer}"
        + (f" --ca-key {parsed.text('iv')}" if parsed.text("iv") else "")
        + f" --out {pfx}",
        python=f'cert = ca.issue({names})\ncert.save("{pfx}", password=...)\ndeploy("0.0.0.0:443", cert)',
        better=(
            "the names are in subjectAltName too, where clients look; MakeCert wrote the common name only",
            "as many names and addresses as needed: issue('www.example.com', '10.0.0.5')",
            "199 days instead of the year 2039, which Apple's clients refuse; renew() makes the successor",
            "no .pvk, no pvk2pfx: save('….pfx') writes what Windows imports",
        ),
    )
