"""The old procedure's own lines, from MakeCert to a live TLS handshake, with one word put in front of each.

The lines are those of a vendor's page for administrators, typographic dash included; only the thumbprint, which the
page shows as an example, is replaced by the one that was made.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
from typing import TYPE_CHECKING

import pytest

from mlsssl import Certificate, CertificateAuthority, EmbeddedMachine
from mlsssl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

ROOT = 'makecert -n "CN=SelfIssuedCA" -a sha256 -r -sv SelfIssuedCA.pvk SelfIssuedCA.cer'
SERVER = (
    'makecert -pe -iv SelfIssuedCA.pvk -n "CN=server-name.com" -eku 1.3.6.1.5.5.7.3.1 –a sha256 -sky exchange '
    "-ic SelfIssuedCA.cer -sv SelfIssuedSSL.pvk SelfIssuedSSL.cer"
)
PFX = "pvk2pfx -pvk SelfIssuedSSL.pvk -spc SelfIssuedSSL.cer -pfx SelfIssuedSSL.pfx -pi password"
BIND = (
    "netsh http add sslcert ipport=0.0.0.0:443 certhash=18e1628ac1cd7cae3495e718f87e5b6188193c81 "
    "appid={9168E8B4-DF4B-497C-918E-36EBC2C69732}"
)
UNBIND = "netsh http delete sslcert ipport=0.0.0.0:443"


def _run(line: str, *more: str) -> None:
    """As a shell would split it, which knows plain quotes only."""
    words = [word.replace('"', "") for word in re.findall(r'(?:"[^"]*"|\S)+', line)]
    assert main([*words, *more]) == 0, line


def _subject_over_tls(port: int, root: Path, host: str) -> bytes:
    context = ssl.create_default_context(cafile=str(root))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=host) as tls,
    ):
        certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows the lines act on the real machine")
def test_the_procedures_own_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root, server certificate, PFX, import, binding, handshake; then the renewal of the old way."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PVK_PASSWORD", "password")
    asked = ("--password", "env:PVK_PASSWORD")
    machine_file = tmp_path / "machine.sqlite"
    there = ("--machine", str(machine_file))
    _run(ROOT, *asked)
    _run(SERVER, *asked)
    _run(PFX)
    _run("store import SelfIssuedSSL.pfx", *asked, *there)
    thumbprint = Certificate.load("SelfIssuedSSL.cer").thumbprint
    _run(BIND.replace("18e1628ac1cd7cae3495e718f87e5b6188193c81", str(thumbprint)), *there)
    root = CertificateAuthority.load("SelfIssuedCA.cer", key="SelfIssuedCA.pvk", password="password")
    root_file = root.certificate.save("root.pem")
    with EmbeddedMachine(machine_file) as machine, machine.listen() as listener:
        port = listener.port_of("0.0.0.0:443")
        served = _subject_over_tls(port, root_file, "server-name.com")
        assert Certificate.from_der(served).thumbprint == thumbprint
        with pytest.raises(ssl.SSLCertVerificationError):
            _subject_over_tls(port, root_file, "other-name.com")
        # The renewal of the old way: another certificate, delete, bind again.
        _run(SERVER.replace("SelfIssuedSSL", "SelfIssuedSSL2"), *asked)
        _run(PFX.replace("SelfIssuedSSL", "SelfIssuedSSL2"))
        _run("store import SelfIssuedSSL2.pfx", *asked, *there)
        newer = Certificate.load("SelfIssuedSSL2.cer").thumbprint
        _run(UNBIND, *there)
        _run(BIND.replace("18e1628ac1cd7cae3495e718f87e5b6188193c81", str(newer)), *there)
        again = _subject_over_tls(listener.port_of("0.0.0.0:443"), root_file, "server-name.com")
        assert Certificate.from_der(again).thumbprint == newer != thumbprint
    printed = capsys.readouterr().out
    assert "SSL Certificate successfully added" in printed
    assert "SSL Certificate successfully deleted" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows the lines act on the real machine")
def test_the_same_lines_fail_where_windows_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failing twins: the page's own thumbprint, which no store has, and a second delete."""
    monkeypatch.chdir(tmp_path)
    there = ("--machine", str(tmp_path / "machine.sqlite"))
    assert main([*BIND.split(), *there]) == 8
    assert main([*UNBIND.split(), *there]) == 3
