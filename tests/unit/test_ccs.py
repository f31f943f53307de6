"""Folders of a Central Certificate Store: names, files, and what is wrong with them."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from made_certificates import make, shared_key
from mlsssl import Certificate
from mlsssl._validator.catalogue import MACHINE_RULES
from mlsssl.ccs import check_folder, file_name, read_folder, write_files
from mlsssl.errors import AccessDeniedError, InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path


def _certificate(*names: str, number: int = 2, days: float = 30) -> Certificate:
    made = make(*names, key=shared_key(number), days=days)
    return Certificate(made.certificate, private_key=made.key)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("www.example.com", "www.example.com.pfx"),
        ("WWW.Example.COM.", "www.example.com.pfx"),
        ("*.example.com", "_.example.com.pfx"),
        ("bücher.example", "xn--bcher-kva.example.pfx"),
        ("my_host.corp.test", "my_host.corp.test.pfx"),
    ],
)
def test_names_of_files(host: str, name: str) -> None:
    """As Windows looks for them."""
    assert file_name(host) == name


@pytest.mark.parametrize("host", ["10.0.0.5", "[::1]", "", "..", "a/b", "www.*.com", "_.example.com:443"])
def test_what_has_no_file(host: str) -> None:
    """Addresses, and whatever is no host name; nothing leads out of the folder."""
    with pytest.raises(InvalidInputError):
        file_name(host)


def test_a_folder_that_is_right(tmp_path: Path) -> None:
    """A file for each name, private, and no finding."""
    paths = write_files(tmp_path, _certificate("www.example.com", "*.example.com", "10.0.0.5"), "secret")
    assert [path.name for path in paths] == ["www.example.com.pfx", "_.example.com.pfx"]
    assert check_folder(tmp_path, "secret") == ()
    if sys.platform != "win32":
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)


def test_what_can_be_wrong(tmp_path: Path) -> None:
    """Each kind of fault is found, with what to do."""
    write_files(tmp_path, _certificate("right.test"), "secret")
    write_files(tmp_path, _certificate("password.test"), "other")
    write_files(tmp_path, _certificate("late.test", days=-0.01), "secret")
    good = (tmp_path / "right.test.pfx").read_bytes()
    (tmp_path / "stranger.test.pfx").write_bytes(good)
    (tmp_path / "damaged.test.pfx").write_bytes(good[:100])
    (tmp_path / "base64.test.pfx").write_bytes(base64.b64encode(good))
    (tmp_path / "not a host.pfx").write_bytes(good)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "folder").mkdir()
    keyless = _certificate("keyless.test").without_key().to_pfx("secret")
    (tmp_path / "keyless.test.pfx").write_bytes(keyless)
    found = {finding.path.name: str(finding) for finding in check_folder(tmp_path, "secret")}
    assert set(found) == {
        "password.test.pfx",
        "late.test.pfx",
        "stranger.test.pfx",
        "damaged.test.pfx",
        "base64.test.pfx",
        "not a host.pfx",
        "notes.txt",
        "keyless.test.pfx",
    }
    assert "password" in found["password.test.pfx"]
    assert "valid from" in found["late.test.pfx"]
    assert "is for right.test" in found["stranger.test.pfx"]
    assert "cut off" in found["damaged.test.pfx"]
    assert "text with a PFX in it" in found["base64.test.pfx"]
    assert "never reads it" in found["notes.txt"]
    assert "no private key" in found["keyless.test.pfx"]


@pytest.mark.parametrize(
    ("name", "hosts", "code", "severity", "remedy"),
    [
        ("_.example.com.pfx", ("*.example.com",), None, None, ""),
        ("_.Example.COM.PFX", ("*.example.com",), None, None, ""),
        ("*.example.com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("_example.com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("_example.com.pfx", ("_example.com",), None, None, ""),
        ("_example.pfx", ("*.example.com", "example.com"), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("*.pfx", ("*.example.com",), "ccs-name", "error", "_.example.com.pfx"),
        ("__.example.com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("example.com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("example.com.pfx", ("*.example.com", "example.com"), None, None, ""),
        ("star_example_com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("wildcard-example-com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("wildcard.example.com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("star.example.com.pfx", ("*.example.com",), "ccs-wildcard-name", "warning", "_.example.com.pfx"),
        ("wildcard.example.com.pfx", ("wildcard.example.com",), None, None, ""),
        ("_wildcard.example.com.pfx", ("*.example.com",), "ccs-wildcard-name", "error", "_.example.com.pfx"),
        ("www.example.com.pfx", ("*.example.com",), None, None, ""),
        ("10.0.0.5.pfx", ("10.0.0.5", "a.test"), "ccs-address", "error", "deploy"),
        ("2001-db8--5.pfx", ("a.test",), "ccs-host", "error", "rename"),
        ("a.test.p12", ("a.test",), "ccs-name", "error", "a.test.pfx"),
        ("a.test.pfx.pfx", ("a.test",), "ccs-name", "error", "a.test.pfx"),
        ("bücher.example.pfx", ("xn--bcher-kva.example",), "ccs-name", "error", "xn--bcher-kva.example.pfx"),
        ("my site.pfx", ("a.test",), "ccs-name", "error", "a.test.pfx"),
        (
            "other.test.pfx",
            ("a.test",),
            "ccs-host",
            "error",
            "rename the file to a.test.pfx",
        ),
        ("other.test.pfx", ("*.a.test",), "ccs-host", "error", "_.a.test.pfx"),
        ("readme.txt", ("a.test",), "ccs-name", "notice", "take it out"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="a name with * is none on Windows")
def test_names_that_are_wrong(
    tmp_path: Path, name: str, hosts: tuple[str, ...], code: str | None, severity: str | None, remedy: str
) -> None:
    """The store looks for exactly one spelling; others are told the right one, and hosts that look alike are left."""
    (tmp_path / name).write_bytes(_certificate(*hosts).to_pfx("secret"))
    found = check_folder(tmp_path, "secret")
    assert [one.code for one in found] == ([] if code is None else [code])
    for one in found:
        assert one.severity == severity
        assert remedy in one.remedy


def test_a_host_that_is_called_star(tmp_path: Path) -> None:
    """Beside the wildcard's own file it is a host like others."""
    certificate = _certificate("*.example.com")
    write_files(tmp_path, certificate, "secret")
    (tmp_path / "star.example.com.pfx").write_bytes(certificate.to_pfx("secret"))
    assert check_folder(tmp_path, "secret") == ()


def test_files_that_old_servers_do_not_read(tmp_path: Path) -> None:
    """A notice when nobody said which server reads the folder, an error when that one does not, else nothing."""
    write_files(tmp_path, _certificate("new.test"), "secret", readable_by="windows-server-2019")
    write_files(tmp_path, _certificate("old.test"), "secret", readable_by="windows-server-2016")
    (finding,) = check_folder(tmp_path, "secret")
    assert (finding.path.name, finding.code, finding.severity) == ("new.test.pfx", "ccs-reader", "notice")
    assert "Windows Server 2016" in finding.problem
    (finding,) = check_folder(tmp_path, "secret", readable_by="windows-server-2016")
    assert finding.severity == "error"
    assert "AES-CBC" in finding.problem
    assert "windows-server-2016" in finding.remedy
    assert check_folder(tmp_path, "secret", readable_by="windows-server-2022") == ()
    with pytest.raises(InvalidInputError, match="readable_by"):
        check_folder(tmp_path, "secret", readable_by="windows-95")


def test_files_with_what_is_in_them(tmp_path: Path) -> None:
    """Every file, those that could not be read too, as plain values as well."""
    write_files(tmp_path, _certificate("a.test"), "secret")
    write_files(tmp_path, _certificate("b.test"), "other")
    (tmp_path / "notes.txt").write_text("hello")
    first, second, third = read_folder(tmp_path, "secret")
    assert (first.path.name, first.host, first.findings) == ("a.test.pfx", "a.test", ())
    assert first.certificate is not None
    assert first.certificate.has_private_key
    assert (second.host, second.certificate) == ("b.test", None)
    assert (third.host, third.certificate) == (None, None)
    assert json.loads(json.dumps(second.to_dict()))["findings"][0]["code"] == "ccs-password"
    assert first.to_dict()["thumbprint"] == str(first.certificate.thumbprint)
    assert "secret" not in repr((first, second, third))


def test_every_code_is_in_the_table(tmp_path: Path) -> None:
    """With the severity and remedy that stand there."""
    good = write_files(tmp_path, _certificate("right.test"), "secret")[0].read_bytes()
    for name, data in (
        ("damaged.test", good[:100]),
        ("stranger.test", good),
        ("10.0.0.5", good),
        ("_right.test", good),
    ):
        (tmp_path / f"{name}.pfx").write_bytes(data)
    write_files(tmp_path, _certificate("password.test"), "other")
    write_files(tmp_path, _certificate("late.test", days=-0.01), "secret")
    write_files(tmp_path, _certificate("new.test"), "secret", readable_by="windows-server-2019")
    (tmp_path / "keyless.test.pfx").write_bytes(_certificate("keyless.test").without_key().to_pfx("secret"))
    (tmp_path / "notes.txt").write_text("hello")
    codes = {finding.code for finding in check_folder(tmp_path, "secret")}
    assert codes == {code for code in MACHINE_RULES if code.startswith("ccs-")}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_a_pipe_in_the_folder_is_not_waited_for(tmp_path: Path) -> None:
    """Somebody else who may write there would hold up the check for ever; nor is a device read."""
    write_files(tmp_path, _certificate("right.test"), "secret")
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.test.pfx")
    (tmp_path / "zeros.test.pfx").symlink_to("/dev/zero")
    found = check_folder(tmp_path, "secret")
    assert [finding.path.name for finding in found] == ["pipe.test.pfx", "zeros.test.pfx"]
    assert all("is no ordinary file" in finding.problem for finding in found)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="needs to become another user")
def test_a_closed_folder_is_told_as_such(tmp_path: Path) -> None:
    """Not as one that is none."""
    (tmp_path / "closed" / "store").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    if sys.platform != "win32":
        os.seteuid(65534)
        try:
            with pytest.raises(AccessDeniedError):
                check_folder(tmp_path / "closed" / "store", "secret")
        finally:
            os.seteuid(0)


def test_a_wildcards_file(tmp_path: Path) -> None:
    """It must hold a wildcard; a certificate for one host below is not enough."""
    write_files(tmp_path, _certificate("*.example.com"), "secret")
    assert check_folder(tmp_path, "secret") == ()
    single = write_files(tmp_path, _certificate("www.example.com"), "secret")[0]
    single.replace(tmp_path / "_.example.com.pfx")
    assert len(check_folder(tmp_path, "secret")) == 1


def test_another_moment(tmp_path: Path) -> None:
    """Dates are checked for the moment given."""
    write_files(tmp_path, _certificate("www.example.com"), "secret")
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=90)
    assert len(check_folder(tmp_path, "secret", at=later)) == 1
    with pytest.raises(InvalidInputError, match="aware"):
        check_folder(tmp_path, "secret", at=dt.datetime(2030, 1, 1))  # noqa: DTZ001 -- that is the fault


def test_bad_arguments(tmp_path: Path) -> None:
    """No key, no name, no folder."""
    with pytest.raises(InvalidInputError, match="no private key"):
        write_files(tmp_path, _certificate("a.test").without_key(), "secret")
    with pytest.raises(InvalidInputError, match="no DNS name"):
        write_files(tmp_path, _certificate("10.0.0.5"), "secret")
    with pytest.raises(NotFoundError):
        write_files(tmp_path / "missing", _certificate("a.test"), "secret")
    with pytest.raises(InvalidInputError, match="not a folder"):
        check_folder(tmp_path / "missing", "secret")
