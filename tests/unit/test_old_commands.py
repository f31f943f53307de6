"""The old commands, word for word: options, refusals, explanations, and what they leave behind."""

from __future__ import annotations

import datetime as dt
import stat
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from made_certificates import make, shared_key
from mlsssl import Binding, BindingOptions, Certificate, CertificateAuthority, EmbeddedMachine, IpPort
from mlsssl._commands.old_tools import makecert, netsh, pvk2pfx
from mlsssl._commands.old_tools.command_lines import Context, parse_options
from mlsssl._commands.old_tools.makecert import OPTIONS
from mlsssl._formats.pvk import load_pvk, serialize_pvk
from mlsssl.cli import main
from mlsssl.errors import (
    BindingExistsError,
    BindingNotFoundError,
    ExistsError,
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    NotFoundError,
    UnusableCertificateError,
    WrongPasswordError,
)
from mlsssl.netsh import parse_listing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Made once: RSA keys take their time.
_KEY = rsa.generate_private_key(65537, 2048)
_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"


class Asked:
    """Answers every question for a password, and remembers the questions."""

    def __init__(self, answer: str | None = "secret") -> None:
        self.answer = answer
        self.questions: list[tuple[str, bool]] = []

    def __call__(self, purpose: str, *, new: bool) -> str | None:
        self.questions.append((purpose, new))
        return self.answer


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a key that MakeCert would take."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ready.pvk").write_bytes(serialize_pvk(_KEY, None))
    return tmp_path


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    """An embedded machine in a file."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as made:
        yield made


def context(printed: list[str], machine: EmbeddedMachine | None = None, asked: Asked | None = None) -> Context:
    """What the old commands work with; what they print is added to `printed`."""

    def opened() -> EmbeddedMachine:
        assert machine is not None
        return machine

    return Context(
        machine=opened,
        add_to_machine=lambda add: add(opened()),
        ask_password=asked or Asked(),
        out=printed.append,
    )


def _makecert(line: str, machine: EmbeddedMachine | None = None, asked: Asked | None = None) -> list[str]:
    printed: list[str] = []
    assert makecert.run(line.split(), context(printed, machine, asked)) == 0
    return printed


def test_a_root_and_a_server_certificate(here: Path) -> None:
    """Steps 1 and 2 of the old way, with keys that are there already."""
    _makecert("-n CN=Root -a sha256 -r -sv ready.pvk root.cer")
    root = Certificate.load(here / "root.cer", key=here / "ready.pvk")
    assert root.is_ca
    assert root.common_name == "Root"
    _makecert(
        f"-pe -iv ready.pvk -n CN=www.example.com,CN=10.0.0.5 -eku {_SERVER_AUTH} -a sha256 -sky exchange -ic root.cer "
        "-len 2048 -sv www.pvk www.cer"
    )
    pvk = load_pvk((here / "www.pvk").read_bytes(), "secret")
    assert (pvk.key_spec, pvk.protection) == ("exchange", "strong")
    server = Certificate.load(here / "www.cer", key=here / "www.pvk", key_password="secret")
    assert server.names == ("www.example.com", "10.0.0.5")
    assert server.common_name == "www.example.com"
    assert not server.is_ca
    assert server.check("www.example.com", trust=[root]).ok
    if sys.platform != "win32":
        assert stat.S_IMODE((here / "www.pvk").stat().st_mode) == 0o600


def test_a_root_that_makecert_itself_made(here: Path) -> None:
    """MakeCert's roots have no basicConstraints and no key identifiers; they go on issuing all the same."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "SelfIssuedCA")])
    builder = x509.CertificateBuilder(name, name, _KEY.public_key(), 4711)
    begin = dt.datetime(2015, 1, 1, tzinfo=dt.timezone.utc)
    end = dt.datetime(2039, 12, 31, 23, 59, 59, tzinfo=dt.timezone.utc)
    # The forerunner of authorityKeyIdentifier, which MakeCert wrote: id-ce 1.
    old = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.1"), b"0\x00")
    root = builder.not_valid_before(begin).not_valid_after(end).add_extension(old, critical=False)
    signed = root.sign(_KEY, hashes.SHA256())
    (here / "root.cer").write_bytes(signed.public_bytes(serialization.Encoding.DER))
    _makecert(f"-iv ready.pvk -ic root.cer -n CN=a.test -eku {_SERVER_AUTH} -sv ready.pvk a.cer")
    server = Certificate.load(here / "a.cer").to_cryptography()
    server.verify_directly_issued_by(signed)
    leaf = make("leaf.test", key=shared_key(5), issuer=make("Root", key=shared_key(6), authority=True))
    (here / "leaf.cer").write_bytes(leaf.der)
    (here / "leaf.key").write_bytes(leaf.pkcs8)
    with pytest.raises(InvalidInputError, match="no authority"):
        _makecert("-iv leaf.key -ic leaf.cer -n CN=a.test -sv ready.pvk a.cer")


def test_questions_for_passwords(here: Path) -> None:
    """An encrypted key is asked for, an open one is not, a new one is asked for twice; None leaves it open."""
    (here / "locked.pvk").write_bytes(serialize_pvk(_KEY, "secret"))
    asked = Asked()
    _makecert("-n CN=Root -r -sv locked.pvk root.cer", asked=asked)
    assert asked.questions == [("password of locked.pvk", False)]
    asked = Asked(None)
    _makecert(f"-iv ready.pvk -ic root.cer -n CN=a.test -eku {_SERVER_AUTH} -sv new.pvk a.cer", asked=asked)
    assert asked.questions == [("new password for new.pvk", True)]
    assert load_pvk((here / "new.pvk").read_bytes(), None).protection == "none"
    with pytest.raises(WrongPasswordError):
        _makecert("-n CN=Root -r -sv locked.pvk root.cer", asked=Asked("wrong"))


def test_dates_serial_height_and_names_to_show(here: Path) -> None:
    """-b, -e, -m, -#, -h and -d are honoured."""
    _makecert("-n CN=Root -r -b 01/31/2026 -m 13 -# 4711 -h 2 -sv ready.pvk root.cer")
    root = Certificate.load(here / "root.cer")
    assert root.not_before == dt.datetime(2026, 1, 31, tzinfo=dt.timezone.utc)
    assert root.not_after == dt.datetime(2027, 2, 28, tzinfo=dt.timezone.utc) - dt.timedelta(seconds=1)
    assert root.serial_number == 4711
    constraints = root.to_cryptography().extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.path_length == 2
    _makecert("-n CN=Root -r -b 01/31/2026 -e 12/31/2039 -sv ready.pvk root.cer")
    assert Certificate.load(here / "root.cer").not_after.year == 2039


def test_an_intermediate(here: Path) -> None:
    """-cy authority below an issuer."""
    _makecert("-n CN=Root -r -sv ready.pvk root.cer")
    _makecert("-n CN=Below -cy authority -ic root.cer -iv ready.pvk -sv ready.pvk below.cer")
    below = Certificate.load(here / "below.cer")
    assert below.is_ca
    assert "CN=Root" in below.issuer


def test_a_self_signed_server_certificate_in_a_store(here: Path, machine: EmbeddedMachine) -> None:
    """The line of many tutorials for IIS: straight into the machine's store, with Schannel's provider."""
    printed: list[str] = []
    words = ["-r", "-pe", "-n", "CN=www.example.com", "-eku", _SERVER_AUTH, "-ss", "my", "-sr", "localMachine"]
    words += ["-sky", "exchange", "-sp", "Microsoft RSA SChannel Cryptographic Provider", "-sy", "12", "-d", "Web"]
    makecert.run(words, context(printed, machine))
    with machine.store("MY") as store:
        (entry,) = store
        assert entry.has_private_key
        assert entry.friendly_name == "Web"
        assert entry.certificate.is_self_issued
        assert not entry.certificate.is_ca
        assert entry.certificate.check("www.example.com", trust=[entry.certificate]).ok
        assert store.export(entry.thumbprint).has_private_key
    assert f"thumbprint: {entry.thumbprint}" in printed
    assert not any("CurrentUser" in line for line in printed)


def test_a_self_signed_certificate_made_as_the_second_changes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its helper authority and itself share one moment, so that a tick of the clock between them does no harm."""

    def slow(*arguments: Any, **options: Any) -> CertificateAuthority:
        made = create(*arguments, **options)
        time.sleep(1.1)
        return made

    create = CertificateAuthority.create
    monkeypatch.setattr(CertificateAuthority, "create", slow)
    _makecert(f"-r -n CN=a.test -eku {_SERVER_AUTH} -sv ready.pvk a.cer")
    assert Certificate.load(here / "a.cer").names == ("a.test",)


def test_an_issuer_in_a_store(here: Path, machine: EmbeddedMachine) -> None:
    """-is, -ir and -in find the authority, which has to be the only one that fits."""
    _makecert("-r -pe -n CN=Root -ss my -sr localmachine", machine)
    _makecert("-is my -ir localmachine -in Root -n CN=a.test -sv ready.pvk a.cer", machine)
    assert Certificate.load(here / "a.cer").issuer == "CN=Root"
    with pytest.raises(NotFoundError, match="0 authorities"):
        _makecert("-is my -ir localmachine -in Other -n CN=a.test -sv ready.pvk a.cer", machine)


def test_a_note_when_http_sys_cannot_see_it(here: Path, machine: EmbeddedMachine) -> None:
    """MakeCert's default location is the current user, which HTTP.sys does not read."""
    printed = _makecert(f"-r -n CN=www.example.com -eku {_SERVER_AUTH} -ss my -sv ready.pvk", machine)
    assert any("localmachine" in line for line in printed)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-n CN=a.test -sv a.pvk a.cer", "needs an issuer"),
        ("-r -sv a.pvk a.cer", "-n is needed"),
        ("-r -n CN=a.test a.cer", "private key would be lost"),
        ("-r -n CN=a.test -sv a.pvk", "output file"),
        ("-r -n CN=a.test -sv a.pvk a.cer b.cer", "one certificate file"),
        ("-r -n CN=a.test -a sha1 -sv a.pvk a.cer", "forged"),
        ("-r -n CN=a.test -a md5 -sv a.pvk a.cer", "forged"),
        ("-r -n CN=a.test -len 1024 -sv a.pvk a.cer", "2048"),
        ("-r -n CN=a.test -eku 1.3.6.1.5.5.7.3.3 -sv a.pvk a.cer", "for servers"),
        ("-r -n CN=a.test -eku 1.3.6.1.5.5.7.3.1,1.3.6.1.5.5.7.3.2 -sv a.pvk a.cer", "each for one alone"),
        ("-r -n CN=a.test -ic root.cer -sv a.pvk a.cer", "no meaning"),
        ("-ic root.cer -n CN=a.test -sv a.pvk a.cer", "needs -iv"),
        ("-r -n a.test -sv a.pvk a.cer", "is a name such as"),
        ("-r -n O=Example -sv a.pvk a.cer", "needs a common name"),
        ("-r -n CN=a.test,X=Example -sv a.pvk a.cer", "no key of a subject"),
        ("-r -n CN=a.test,C=USA -sv a.pvk a.cer", "two letters"),
        ("-r -n CN=a.test -sk container a.cer", "-sk cannot be honoured"),
        ("-r -n CN=a.test -crl -sv a.pvk a.cer", "-crl cannot be honoured"),
        ("-r -n CN=a.test -nscp -sv a.pvk a.cer", "-nscp cannot be honoured"),
        ("-r -n CN=a.test -$ individual -sv a.pvk a.cer", "signing programs"),
        ("-r -n CN=a.test -l http://x -sv a.pvk a.cer", "-l cannot"),
        ("-r -n CN=a.test -sp Gemplus -sv a.pvk a.cer", "-sp and -sy"),
        ("-r -n CN=a.test -zz -sv a.pvk a.cer", "no option -zz"),
        ("-r -n CN=a.test -r -sv a.pvk a.cer", "given twice"),
        ("-r -n -sv a.pvk a.cer", "-n needs a value"),
        ("-r -n CN=a.test -b 31/01/2026 -sv a.pvk a.cer", "mm/dd/yyyy"),
        ("-r -n CN=a.test -b 01/31/2026 -e 01/30/2026 -sv a.pvk a.cer", "before it begins"),
        ("-r -n CN=a.test -m 5 -e 01/30/2026 -sv a.pvk a.cer", "exclude"),
        ("-r -n CN=a.test -# 0 -sv a.pvk a.cer", "from 1 to"),
        ("-r -n CN=a.test -m many -sv a.pvk a.cer", "number"),
        ("-r -n CN=a.test -sky both -sv a.pvk a.cer", "-sky is"),
        ("-r -n CN=a.test -cy authority -eku 1.3.6.1.5.5.7.3.1 -sv a.pvk a.cer", "drop -eku"),
    ],
)
def test_what_makecert_is_refused(here: Path, line: str, words: str) -> None:
    """By name, with the reason, before anything is written."""
    before = sorted(here.iterdir())
    with pytest.raises(InvalidInputError, match=words):
        _makecert(line)
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("CN=Example Root, O=Example, C=US", "C=US,O=Example,CN=Example Root"),
        ("CN=Example Root;O=Example;C=US", "C=US,O=Example,CN=Example Root"),
        ("O=Example, CN=Example Root", "CN=Example Root,O=Example"),
        ("cn = Example Root", "CN=Example Root"),
        ('CN="Example, Inc. Root";OU=a,OU=b', "OU=b,OU=a,CN=Example\\, Inc. Root"),
        (
            "CN=Example Root,S=Utah,L=Here,E=it@example.com",
            "1.2.840.113549.1.9.1=it@example.com,L=Here,ST=Utah,CN=Example Root",
        ),
    ],
)
def test_names_in_makecerts_own_syntax(here: Path, name: str, subject: str) -> None:
    """All fields stay, in the order written: in a root, and in an authority and a client below it."""
    makecert.run(["-n", name, "-r", "-sv", "ready.pvk", "root.cer"], context([]))
    assert Certificate.load(here / "root.cer").subject == subject
    for options in (["-cy", "authority"], ["-eku", _CLIENT_AUTH]):
        line = ["-n", name, *options, "-ic", "root.cer", "-iv", "ready.pvk", "-sv", "ready.pvk", "below.cer"]
        makecert.run(line, context([]))
        below = Certificate.load(here / "below.cer")
        assert (below.subject, below.issuer) == (subject, subject)


def test_a_server_certificate_keeps_its_subject_too(here: Path) -> None:
    """Every common name is a name of the server; the first stays where it stood."""
    printed: list[str] = []
    makecert.run(
        ["-r", "-n", "O=Example; CN=a.test, CN=b.test, C=DE", "-eku", _SERVER_AUTH, "-sv", "ready.pvk", "a.cer"],
        context(printed),
    )
    made = Certificate.load(here / "a.cer")
    assert (made.subject, made.names) == ("C=DE,CN=a.test,O=Example", ("a.test", "b.test"))
    assert not any("left out" in line for line in printed)
    with pytest.raises(InvalidInputError, match="inner hyphens only"):
        makecert.run(["-r", "-n", "CN=no host", "-eku", _SERVER_AUTH, "-sv", "ready.pvk", "b.cer"], context([]))


def test_what_a_name_loses_is_said(here: Path) -> None:
    """An authority and a client have one common name."""
    printed = _makecert("-r -n CN=One,CN=Two -sv ready.pvk root.cer")
    assert any("left out: Two" in line for line in printed)
    assert Certificate.load(here / "root.cer").subject == "CN=One"


def test_a_client_certificate(here: Path) -> None:
    """-eku 1.3.6.1.5.5.7.3.2 alone, below an issuer and self-signed; it is none for a server."""
    _makecert("-r -n CN=Root -sv ready.pvk root.cer")
    _makecert(f"-n CN=Alice -eku {_CLIENT_AUTH} -ic root.cer -iv ready.pvk -sv ready.pvk alice.cer")
    root, alice = Certificate.load(here / "root.cer"), Certificate.load(here / "alice.cer")
    assert (alice.extended_key_usages, alice.key_usages) == (("clientAuth",), ("digitalSignature",))
    assert alice.check(trust=[root], purpose="client", key_expected=False).ok
    assert "eku-server-auth-missing" in alice.check(trust=[root], key_expected=False).codes
    _makecert(f"-r -n CN=Bob -eku {_CLIENT_AUTH} -sv ready.pvk bob.cer")
    bob = Certificate.load(here / "bob.cer")
    assert bob.is_self_issued
    assert not bob.is_ca


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("-r", 'ca create "a.test" --organization "E, Inc." --country "DE" --out a.pfx'),
        ("-ic ca.cer -iv ca.pvk", 'issue a.test --organization "E, Inc." --country "DE" --ca ca.cer --ca-key ca.pvk'),
        ("-ic ca.cer -iv ca.pvk -eku " + _CLIENT_AUTH, 'ca issue-client "a.test" --organization "E, Inc." --country'),
    ],
)
def test_the_modern_call_keeps_the_subject(line: str, command: str) -> None:
    """Fields as options and arguments; what has none is said."""
    printed: list[str] = []
    made = replace(context(printed), explain_only=True)
    words = [*line.split(), "-n", 'CN=a.test;O="E, Inc.";OU=x;OU=y;C=DE;E=i@a.test', "-sv", "a.pvk", "a.cer"]
    makecert.run(words, made)
    text = "\n".join(printed)
    assert command.replace('Inc." --country', 'Inc." --organizational-unit "x" --country') in text
    assert 'organization="E, Inc.", organizational_unit="x", country="DE"' in text
    assert "OU=y, 1.2.840.113549.1.9.1=i@a.test give a whole name" in text


def test_lines_as_pasted_from_web_pages(here: Path) -> None:
    """Typographic dashes and quotes, split by a shell that knows neither; slashes as Windows takes them too."""
    _makecert("–n “CN=My Root” —a sha256 −r /sv ready.pvk root.cer")
    assert Certificate.load(here / "root.cer").common_name == "My Root"
    with pytest.raises(InvalidInputError, match="does not end"):
        _makecert("–n “CN=My Root –a sha256 –r")


def test_absolute_paths_are_no_options(here: Path) -> None:
    """A path that starts with a slash is an operand, unless an option has that name."""
    parsed = parse_options("makecert", ["-r", "/tmp/root.cer", "/N", "CN=x"], OPTIONS)
    assert parsed.operands == ["/tmp/root.cer"]
    assert parsed.text("n") == "CN=x"


def _pvk2pfx(line: str, asked: Asked | None = None) -> list[str]:
    printed: list[str] = []
    assert pvk2pfx.run(line.split(), context(printed, asked=asked)) == 0
    return printed


def test_pvk2pfx(here: Path) -> None:
    """Step 3: key and certificate in one file, with the password of the one unless another is given."""
    _makecert("-n CN=Root -r -sv ready.pvk root.cer")
    (here / "locked.pvk").write_bytes(serialize_pvk(_KEY, "secret"))
    printed = _pvk2pfx("-pvk locked.pvk -spc root.cer -pfx a.pfx -pi secret")
    assert any("every user of this computer" in line for line in printed)
    assert Certificate.load(here / "a.pfx", password="secret").has_private_key
    assert not any("secret" in line for line in printed)
    asked = Asked()
    printed = _pvk2pfx("/pvk locked.pvk /spc root.cer /pfx a.pfx /f", asked)
    assert asked.questions == [("password of locked.pvk", False)]
    assert not any("warning" in line for line in printed)
    _pvk2pfx("-pvk locked.pvk -pi secret -po other -spc root.cer -pfx a.pfx -f")
    assert Certificate.load(here / "a.pfx", password="other").has_private_key
    asked = Asked("third")
    _pvk2pfx("-pvk ready.pvk -spc root.cer -pfx a.pfx -f", asked)
    assert asked.questions == [("new password for a.pfx", True)]
    if sys.platform != "win32":
        assert stat.S_IMODE((here / "a.pfx").stat().st_mode) == 0o600


def test_pvk2pfx_with_an_spc(here: Path) -> None:
    """The leaf in a bag of certificates is found by its key."""
    _makecert("-n CN=Root -r -sv ready.pvk root.cer")
    root = Certificate.load(here / "root.cer")
    other = Certificate.from_der(make("other.test", key=shared_key(5)).der)
    other.with_chain([root]).save(here / "both.spc")
    _pvk2pfx("-pvk ready.pvk -spc both.spc -pfx a.pfx -po x")
    assert Certificate.load(here / "a.pfx", password="x").common_name == "Root"


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("-pvk ready.pvk -pfx a.pfx", InvalidInputError, "needs -pvk"),
        ("-pvk ready.pvk -spc root.cer", InvalidInputError, "wizard"),
        ("-pvk ready.pvk -spc root.cer -pfx a.pfx extra", InvalidInputError, "'extra'"),
        ("-pvk ready.pvk -spc root.cer -pfx ready.pvk", ExistsError, "replaces it"),
        ("-pvk missing.pvk -spc root.cer -pfx a.pfx", NotFoundError, r"missing\.pvk"),
        ("-pvk root.cer -spc root.cer -pfx a.pfx", MalformedDataError, "private key"),
        ("-pvk locked.pvk -pi wrong -spc root.cer -pfx a.pfx", WrongPasswordError, "PVK"),
    ],
)
def test_what_pvk2pfx_refuses(here: Path, line: str, error: type[MlssslError], words: str) -> None:
    """Each by name; nothing is written."""
    _makecert("-n CN=Root -r -sv ready.pvk root.cer")
    (here / "locked.pvk").write_bytes(serialize_pvk(_KEY, "secret"))
    with pytest.raises(error, match=words):
        _pvk2pfx(line)
    assert not (here / "a.pfx").exists()


def _netsh(line: str, machine: EmbeddedMachine) -> list[str]:
    printed: list[str] = []
    assert netsh.run(line.split(), context(printed, machine)) == 0
    return printed


_APP = "{9168E8B4-DF4B-497C-918E-36EBC2C69732}"


def test_netsh_against_a_machine(here: Path, machine: EmbeddedMachine) -> None:
    """Add, show, update and delete, with netsh's own words for success."""
    _makecert(f"-r -n CN=www.example.com -eku {_SERVER_AUTH} -ss my -sr localmachine -sv ready.pvk", machine)
    with machine.store("MY") as store:
        (entry,) = store
    add = f"http add sslcert ipport=0.0.0.0:443 certhash={entry.thumbprint} appid={_APP}"
    assert _netsh(add, machine) == ["SSL Certificate successfully added"]
    with pytest.raises(BindingExistsError):
        _netsh(add, machine)
    update = add.replace("add", "update", 1) + " disabletls13=enable"
    assert _netsh(update, machine) == ["SSL Certificate successfully updated"]
    binding = Binding.get("0.0.0.0:443", machine=machine)
    assert binding.options == BindingOptions(tls13=False)
    (listing,) = _netsh("http show sslcert", machine)
    assert parse_listing(listing).records == (binding.record,)
    assert parse_listing(_netsh("http show sslcert ipport=0.0.0.0:443", machine)[0]).records == (binding.record,)
    assert _netsh("http delete sslcert ipport=0.0.0.0:443", machine) == ["SSL Certificate successfully deleted"]
    for line in ("http delete sslcert ipport=0.0.0.0:443", "http show sslcert ipport=0.0.0.0:443"):
        with pytest.raises(BindingNotFoundError):
            _netsh(line, machine)


def test_netsh_as_pasted(here: Path, machine: EmbeddedMachine) -> None:
    """Quotes of a web page around a value, split by the shell at its blanks."""
    _makecert(f"-r -n CN=www.example.com -eku {_SERVER_AUTH} -ss my -sr localmachine -sv ready.pvk", machine)
    with machine.store("MY") as store:
        (entry,) = store
    spaced = " ".join(str(entry.thumbprint)[i : i + 2] for i in range(0, 40, 2))
    _netsh(f"http add sslcert ipport=0.0.0.0:443 certhash=“{spaced}” appid=“{_APP.replace('-', '–')}”", machine)
    assert IpPort("0.0.0.0", 443) in machine.bindings
    with pytest.raises(UnusableCertificateError):
        _netsh(f"http add sslcert ipport=0.0.0.0:444 certhash={'0' * 40} appid={_APP}", machine)
    with pytest.raises(InvalidInputError, match="frobnicate"):
        _netsh("http add sslcert frobnicate=enable", machine)


def test_netshs_short_forms_and_typing_errors_at_the_command_line(
    here: Path, machine: EmbeddedMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ssl`, cut verbs and words without their tags do what the long ones do; a slip of the pen is wrong usage, 2."""
    _makecert(f"-r -n CN=www.example.com -eku {_SERVER_AUTH} -ss my -sr localmachine -sv ready.pvk", machine)
    with machine.store("MY") as store:
        (entry,) = store
    assert _netsh(f"http add ssl 0.0.0.0:443 {entry.thumbprint} {_APP}", machine) == [
        "SSL Certificate successfully added"
    ]
    (listing,) = _netsh("http sh ssl 0.0.0.0:443", machine)
    assert len(parse_listing(listing).records) == 1
    assert _netsh("http del ssl 0.0.0.0:443", machine) == ["SSL Certificate successfully deleted"]
    assert _netsh("-c http show ssl", machine) != []
    capsys.readouterr()
    for words, told in (
        (["http", "add", "sslcert", "certhsh=x"], "certhash is meant"),
        (["http", "frob", "sslcert"], "'frob'"),
        (["http", "delete", "sslcert", "443"], "'443'"),
        (["http", "add", "sslcert", "--pasword", "hunter2"], "'--pasword'"),
        (["http", "add", "sslcert", "appid=", "-encodedCommand", "eAA=", "-inputFormat", "xml"], '"appid={x}"'),
        ([], "ends before"),
    ):
        assert main(["netsh", *words]) == 2
        told_in_fact = capsys.readouterr().err
        assert told in told_in_fact
        assert "hunter2" not in told_in_fact
    for word in ("?", "/?", "help"):
        assert main(["netsh", "http", "add", "sslcert", word]) == 0
        assert "--explain" in capsys.readouterr().out


def test_explanations(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    """Each prints the modern call and does nothing."""
    before = sorted(here.iterdir())
    lines = {
        "makecert -n CN=Root -r -sv r.pvk r.cer": 'CertificateAuthority.create("Root")',
        f"makecert -ic r.cer -iv r.pvk -n CN=a.test -eku {_SERVER_AUTH} -sv a.pvk a.cer": 'ca.issue("a.test")',
        "pvk2pfx -pvk a.pvk -spc a.cer -pfx a.pfx": 'Certificate.load("a.cer", key="a.pvk"',
        "netsh http show sslcert": "Binding.all()",
        "netsh http delete sslcert ipport=0.0.0.0:443": "renew()",
        f"netsh http add sslcert ipport=0.0.0.0:443 certhash={'1' * 40} appid={_APP}": 'deploy("0.0.0.0:443", cert)',
    }
    for line, expected in lines.items():
        assert main([*line.split(), "--explain"]) == 0
        printed = capsys.readouterr().out
        assert expected in printed
        assert "What is better" in printed
    assert sorted(here.iterdir()) == before


def test_through_the_command_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own options stand anywhere, passwords come in the order of the questions, errors have exit codes."""
    monkeypatch.setenv("CA_PASSWORD", "first")
    monkeypatch.setenv("KEY_PASSWORD", "second")
    (here / "locked.pvk").write_bytes(serialize_pvk(_KEY, "first"))
    assert (
        main(["makecert", "-n", "CN=Root", "-r", "-sv", "locked.pvk", "--password", "env:CA_PASSWORD", "root.cer"]) == 0
    )
    line = f"makecert -iv locked.pvk -n CN=a.test -eku {_SERVER_AUTH} -ic root.cer -sv a.pvk a.cer"
    assert main([*line.split(), "--password", "env:CA_PASSWORD", "--password", "env:KEY_PASSWORD"]) == 0
    assert load_pvk((here / "a.pvk").read_bytes(), "second").protection == "strong"
    assert main(["pvk2pfx", "-pvk", "a.pvk", "-spc", "a.cer", "-pfx", "a.pfx", "--password", "env:KEY_PASSWORD"]) == 0
    assert Certificate.load(here / "a.pfx", password="second").names == ("a.test",)
    capsys.readouterr()
    EmbeddedMachine("m.sqlite").close()
    assert main(["netsh", "http", "show", "sslcert", "--machine", "m.sqlite"]) == 0
    assert "SSL Certificate bindings" in capsys.readouterr().out
    assert main(["netsh", "http", "delete", "sslcert", "ipport=0.0.0.0:443", "--machine", "m.sqlite"]) == 3
    assert main(["makecert", "-zz"]) == 2
    assert main(["makecert", "--password"]) == 2
    for name in ("makecert", "pvk2pfx", "netsh"):
        capsys.readouterr()
        assert main([name, "--help"]) == 0
        assert "--explain" in capsys.readouterr().out
