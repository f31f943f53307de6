"""The page of audits: what is in it, that it asks nothing of anywhere, and the JSON that it is joined from."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from made_audits import HOSTILE, hostile_audit, made_audit
from mlsssl import (
    Audit,
    Binding,
    CertificateAuthority,
    EmbeddedMachine,
    ExistsError,
    InvalidInputError,
    MalformedDataError,
    UrlReservation,
    audit,
    deploy,
)
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "0.0.0.0:443"


class Elements(HTMLParser):
    """The elements of a page with their attributes, the text in each, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self.text = ""
        self._in = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in = tag
        if tag in ("script", "style"):
            self.inside.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in ("script", "style"):
            self.inside[self._in][-1] += data
        else:
            self.text += data

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"the page has a comment: {data}")


def data_of(page: str) -> Any:
    """The data of its rows."""
    return json.loads(Elements(page).inside["script"][0])


# -- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_has_bindings_findings_reservations_and_key_access(tmp_path: Path) -> None:
    """Of a real audit: with scripts in its data, without them as text; errors and remedies where there are some."""
    ca = CertificateAuthority.create("Report", key="ec-p256")
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, ca.issue("www.example.com"), machine=machine, verify=False)
        UrlReservation("https://+:8443/x/", user="Everyone", machine=machine).add()
        good = audit(machine=machine).to_html()
        thumbprint = Binding.get(KEY, machine=machine).thumbprint
        assert thumbprint is not None
        machine.store().remove(thumbprint)
        bad = audit(machine=machine)
    for text in (KEY, "www.example.com", "usable", "https://+:8443/x/", "reservation-for-anybody"):
        assert text in Elements(good).text
    assert str(thumbprint) in data_of(good)["texts"]
    assert "certificate-missing" not in Elements(good).text
    (finding,) = [one for one in bad.rows[0].findings if one.severity.value == "error"]
    assert finding.code in Elements(bad.to_html()).text
    assert finding.remedy in Elements(bad.to_html()).text


def test_key_access_is_on_the_page() -> None:
    """In the table that is there without scripts, and in the data."""
    page = made_audit(1).to_html()
    assert "NT SERVICE\\MLS: read" in Elements(page).text
    assert "NT SERVICE\\MLS: read" in data_of(page)["texts"]
    assert "NT SERVICE" not in made_audit(0).to_html()


def test_several_machines_are_one_page() -> None:
    """Each row says whose it is; the counts are those of all."""
    page = made_audit(5, "one").to_html(made_audit(6, "two", seed=2), made_audit(0, "three"))
    data = data_of(page)
    assert [data["texts"][number] for number, _ in data["machines"]] == ["one", "two", "three"]
    assert [data["texts"][row[0]] for row in data["rows"]] == ["one"] * 5 + ["two"] * 6
    text = Elements(page).text
    assert "Audit of 3 machines" in text
    assert "11 bindings" in text
    assert "Audit of one" in Elements(made_audit(5, "one").to_html()).text


def test_machines_of_one_name_are_told_apart() -> None:
    """On the page by numbers, never by one that is another's name."""
    names = ("a", "a", "a (2)", "a")
    first, *others = (made_audit(1, name) for name in names)
    data = data_of(first.to_html(*others))
    assert [data["texts"][number] for number, _ in data["machines"]] == ["a", "a (2)", "a (2) (2)", "a (3)"]


def test_an_audit_of_nothing_has_a_page() -> None:
    """It says so, and has no table to sort."""
    with pytest.raises(InvalidInputError, match="a page is made of audits, not str"):
        made_audit(0).to_html("two.json")  # type: ignore[arg-type]  # what is tested
    page = Elements(made_audit(0).to_html())
    assert "nothing is bound" in page.text
    assert ("table", {"role": "table", "id": "rows"}) not in page.elements
    assert ("table", {"role": "table", "id": "rows"}) in Elements(made_audit(1).to_html()).elements


def test_the_policy_forbids_every_request_and_every_other_script() -> None:
    """By the hashes of the style and the script that are in the page; and nothing in it would ask for anything."""
    page = made_audit(40).to_html()
    found = Elements(page)
    (policy,) = [one["content"] for tag, one in found.elements if one.get("http-equiv") == "Content-Security-Policy"]

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    (style,), (_, script) = found.inside["style"], found.inside["script"]
    assert policy == (
        f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; base-uri 'none'; "
        "form-action 'none'"
    )
    for tag, attributes in found.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "form", "base", "a")
        assert not {name for name in attributes if name.startswith("on") or name in ("src", "href", "style")}
    assert not re.search(r"url\((?!#)|@import", style)
    # Between the start of the file and the policy nothing can ask either.
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert page.isascii()


def test_hostile_texts_stay_texts() -> None:
    """Of no audit's text anything becomes an element, an attribute, the end of a script or a control character."""
    found = hostile_audit()
    page = found.to_html(made_audit(3))
    parsed = Elements(page)
    assert [tag for tag, _ in parsed.elements if tag in ("script", "img")] == ["script", "script"]
    assert not any("onerror" in one for _, one in parsed.elements)
    for character in ("\x1b", "\u202e", "\u2028", "&#8238;", "&#27;"):
        assert character not in page
    data = data_of(page)
    assert any("</script><img" in text and "\\u202e\\x1b[31m" in text for text in data["texts"])
    assert not any("\u202e" in text or "\x1b" in text for text in data["texts"])
    assert HOSTILE not in parsed.text
    assert "\\u202e" in parsed.text


def test_no_secret_reaches_the_page() -> None:
    """A private key in a text of a foreign dump is left out, in the data and in the text."""
    key = CertificateAuthority.create("Secret", key="ec-p256").issue("a.test").private_key_pem().decode()
    document = json.loads(made_audit(1).to_json())
    document["notes"] = [f"before {key}"]
    document["rows"][0]["names"] = document["machine"] = f"before {key}"
    (found,) = Audit.from_json(json.dumps(document))
    page = found.to_html()
    assert "(PEM text, not shown)" in page
    assert not any(line in page for line in key.splitlines())


def test_ten_thousand_bindings_are_below_ten_megabytes() -> None:
    """The rows are there once; without scripts the two hundred that end first."""
    page = made_audit(10_000).to_html()
    assert len(page) < 10_000_000
    parsed = Elements(page)
    assert len(data_of(page)["rows"]) == 10_000
    assert len([tag for tag, _ in parsed.elements if tag == "tr"]) < 230
    assert "The 200 that end first of 10000" in parsed.text
    assert page == made_audit(10_000).to_html()


# -- the file ---------------------------------------------------------------------------------------------------------


def test_save_writes_the_page_or_the_json(tmp_path: Path) -> None:
    """By the suffix, over an older one; not in another form."""
    found, other = made_audit(3), made_audit(2, "two", seed=2)
    page = found.save(tmp_path / "report.HTML", other)
    assert page.read_text(encoding="ascii") == found.to_html(other)
    assert found.save(page).read_text(encoding="ascii") == found.to_html()
    assert Audit.from_json(found.save(tmp_path / "two.json", other).read_bytes()) == (found, other)
    for name in ("report.pdf", "report"):
        with pytest.raises(InvalidInputError, match=r"an audit is saved as \.html, \.htm or \.json, not"):
            found.save(tmp_path / name)
        assert not (tmp_path / name).exists()


def test_save_loses_no_private_key(tmp_path: Path) -> None:
    """Unless it is told to."""
    there = tmp_path / "key.html"
    there.write_bytes(CertificateAuthority.create("Kept", key="ec-p256").issue("a.test").private_key_pem())
    before = there.read_bytes()
    with pytest.raises(ExistsError, match="would be lost"):
        made_audit(1).save(there)
    assert there.read_bytes() == before
    assert made_audit(1).save(there, overwrite=True).read_text().startswith("<!DOCTYPE html>")


# -- JSON that comes from elsewhere -----------------------------------------------------------------------------------


def test_json_comes_back_as_it_was() -> None:
    """One audit or a list, as text or in the encodings that shells write; hostile texts too."""
    for found in (made_audit(50), made_audit(0), hostile_audit()):
        assert Audit.from_json(found.to_json()) == (found,)
        assert Audit.from_json(found.to_json(indent=2).encode("utf-16")) == (found,)
        assert Audit.from_json(f"[{found.to_json()},{found.to_json()}]".encode("utf-8-sig")) == (found, found)


def test_a_real_audit_comes_back_as_it_was(tmp_path: Path) -> None:
    """With certificates, reservations and every family of bindings."""
    ca = CertificateAuthority.create("Round trip", key="ec-p256")
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        certificate = ca.issue("www.example.com", "10.0.0.5")
        for key in (KEY, "[::1]:443", "www.example.com:443"):
            deploy(key, certificate, machine=machine, verify=False)
        for key in ("ccs=443", "scopedccs=www.example.com:8443"):
            Binding(key, machine=machine).add()
        UrlReservation("http://*:80/ä/", user="Everyone", machine=machine).add()
        found = audit(machine=machine)
    assert len(found.rows) == 5
    assert Audit.from_json(found.to_json()) == (found,)


def test_what_a_later_version_adds_is_passed_over_and_what_an_earlier_lacked_is_left_out() -> None:
    """Members that are not known; no reservations, key access and notes."""
    found = made_audit(1)
    document = json.loads(found.to_json())
    document["more"] = document["rows"][0]["more"] = {"a": [1]}
    assert Audit.from_json(json.dumps(document)) == (found,)
    del document["reservations"], document["notes"], document["rows"][0]["key_access"]
    (older,) = Audit.from_json(json.dumps(document))
    assert (older.reservations, older.rows[0].key_access) == ((), None)
    assert older.rows[0].findings == found.rows[0].findings


def with_row(**members: object) -> str:
    """An audit whose first row has these members."""
    document = json.loads(made_audit(1).to_json())
    document["rows"][0] |= members
    return json.dumps(document)


def with_member(**members: object) -> str:
    """An audit with these members."""
    return json.dumps({**json.loads(made_audit(1).to_json()), **members})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON text"),
        ("{", "no JSON text"),
        (b"\xff\xfe\x00", "no JSON text"),
        ("[" * 100_000, "no JSON text"),
        ("[]", "no audit in this JSON"),
        ("5", "it has no machine, at and rows"),
        ("[[]]", "it has no machine, at and rows"),
        ('{"format": "mlsssl-bindings", "version": 1, "bindings": []}', "it has no machine, at and rows"),
        (with_member(machine=5), "machine is a text, not 5"),
        (with_member(machine=None), "the machine or the moment is null"),
        (with_member(at="yesterday"), "first members"),
        (with_member(at="2026-11-29T10:00:00"), "at has no time zone"),
        (with_member(at="9999-12-31T23:59:59-23:59"), "first members"),
        (with_member(rows={}), "rows is a list of objects"),
        (with_member(rows=[[]]), "rows is a list of objects"),
        (with_member(notes=[5]), "notes is a list of texts"),
        (with_member(reservations=[{}]), "reservation 1: 'url' is missing"),
        (with_row(key="nowhere"), "row 1"),
        (with_row(names="a" * 1_000_001), "names has 1000001 characters"),
        (with_row(key=KEY, family="moon"), "row 1: .*the family is"),
        (with_row(app_id="5"), "row 1"),
        (with_row(thumbprint="00"), "row 1"),
        (with_row(days_left="5"), "days_left is a number, not '5'"),
        (with_row(days_left=True), "days_left is a number, not True"),
        (with_row(days_left=None), "days_left and not_after"),
        (with_row(days_left=1e300), "days_left is a number"),
        (with_row(not_after=7), "not_after is a text"),
        (with_row(findings=["expired"]), "findings is a list of objects"),
        (with_row(findings=[{"code": "x"}]), "row 1: 'severity' is missing"),
        (with_row(days_left=float("nan")), "NaN is no number"),
        ('{"machine": ' + "9" * 1_000_000 + "}", "a number of more than 20 digits"),
        ("[" + "{}," * 2_000_000 + "{}]", "more than 4000000 values"),
    ],
)
def test_json_that_is_no_audit_is_refused(text: str | bytes, why: str) -> None:
    """By our own error, which says what is wrong and where; in time that does not grow without bound."""
    began = time.process_time()
    with pytest.raises(MalformedDataError, match=why):
        Audit.from_json(text)
    assert time.process_time() - began < 10


def test_json_of_any_length_is_refused_unread() -> None:
    """More than 64 MiB; and what is neither text nor bytes is no JSON."""
    with pytest.raises(MalformedDataError, match="at most 67108864 are read"):
        Audit.from_json(b" " * (64 * 1024 * 1024 + 1))
    with pytest.raises(InvalidInputError, match="JSON is text or bytes, not int"):
        Audit.from_json(5)  # type: ignore[arg-type]  # what is tested


@pytest.mark.parametrize("text", ["A1b" * 300_000, "-----BEGIN " * 90_000, "x, " * 330_000, "\u202e" * 1_000_000])
def test_long_texts_are_cut_in_bounded_time(text: str) -> None:
    """As they are read and shown, whatever is looked for in them."""
    began = time.process_time()
    (found,) = Audit.from_json(with_row(names=text))
    assert len(found.to_html()) < 200_000
    assert time.process_time() - began < 10


@pytest.mark.parametrize("value", [None, 5, 1.5, True, "", "\ud800", HOSTILE, [], {}, [[]], {"a": 1}])
def test_whatever_stands_in_a_member_is_read_or_refused(value: object) -> None:
    """Each member of an audit, a row, a reservation and a finding in turn; what is read has a page."""
    whole = json.loads(made_audit(1).to_json())
    places = [whole, whole["rows"][0], whole["reservations"][1], whole["reservations"][1]["findings"][0]]
    read = 0
    for place in places:
        for name, before in list(place.items()):
            place[name] = value
            try:
                (found,) = Audit.from_json(json.dumps(whole))
            except MalformedDataError:
                pass
            else:
                read += 1
                assert found.to_html().isascii()
            place[name] = before
    assert read


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "machine.sqlite"))
    with EmbeddedMachine() as machine:
        deploy(
            KEY, CertificateAuthority.create("Command", key="ec-p256").issue("a.test"), machine=machine, verify=False
        )
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    capsys.readouterr()
    code = main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_audit_writes_a_page(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """Beside the table, also when a finding is an error and the code 1; in the words of the command line."""
    code, out, _ = run(capsys, "audit", "--html", "report.html")
    assert (code, KEY in out) == (0, True)
    assert KEY in Elements((place / "report.html").read_text()).text
    with EmbeddedMachine() as machine:
        thumbprint = Binding.get(KEY, machine=machine).thumbprint
        assert thumbprint is not None
        machine.store().remove(thumbprint)
        (finding,) = [one for one in audit(machine=machine).rows[0].findings if one.severity.value == "error"]
    assert run(capsys, "audit", "--html", "report.html")[0] == 1
    text = Elements((place / "report.html").read_text()).text
    assert "mlsssl store add FILE" in text
    assert finding.remedy not in text
    assert run(capsys, "audit", "--html", "report.pdf")[0] == 2
    assert run(capsys, "audit", "--html", "nowhere/report.html")[0] == 3


def test_audit_says_where_the_page_is(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """As its last line, of this machine and of files; not without a page, and not in JSON."""
    assert run(capsys, "audit", "--html", "report.html")[1].endswith("\nThe page is in report.html.\n")
    assert "The page" not in run(capsys, "audit")[1]
    code, out, _ = run(capsys, "audit", "--html", "report.html", "--json")
    assert code == 0
    (place / "one.json").write_text(out)
    json.loads(out)
    assert run(capsys, "audit", "--from", "one.json", "--html", "all.html")[1].endswith("\nThe page is in all.html.\n")
    assert "The page" not in run(capsys, "audit", "--from", "one.json")[1]


def test_audit_spares_a_private_key(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """4, and --overwrite is what the message says and what does it."""
    key = CertificateAuthority.create("Kept", key="ec-p256").issue("a.test").private_key_pem()
    (place / "report.html").write_bytes(key)
    code, _, err = run(capsys, "audit", "--html", "report.html")
    assert (code, "--overwrite" in err) == (4, True)
    assert (place / "report.html").read_bytes() == key
    assert run(capsys, "audit", "--html", "report.html", "--overwrite")[0] == 0


def test_dumps_of_several_machines_are_joined(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """Into one table, one JSON document and one page; a file that is none is named; no machine is looked at."""
    (place / "one.json").write_text(run(capsys, "audit", "--json")[1], encoding="utf-16")
    made_audit(4, "server02").save("two.json", made_audit(0, "server03"))
    (place / "bad.json").write_text("{}")
    (place / "machine.sqlite").unlink()
    files = ("--from", "one.json", "two.json")
    code, out, _ = run(capsys, "audit", *files, "--html", "all.html")
    assert code == (0 if made_audit(4).ok else 1)
    lines = out.splitlines()
    assert lines[0].split()[:2] == ["MACHINE", "KEY"]
    assert len([line for line in lines if line.startswith("server02 ")]) == 4 + 2
    assert "server03: nothing is bound" in lines
    page = Elements((place / "all.html").read_text()).text
    assert "Audit of 3 machines" in page
    assert "a.test" in page
    code, out, _ = run(capsys, "audit", *files, "--json")
    assert [len(one["rows"]) for one in json.loads(out)] == [1, 4, 0]
    (place / "again.json").write_text(out)
    assert len(Audit.from_json(out)) == 3
    assert run(capsys, "audit", "--from", "again.json", "--html", "again.html")[0] == code
    assert (place / "again.html").read_text() == (place / "all.html").read_text()
    (place / "copy.json").write_bytes((place / "one.json").read_bytes())
    out = run(capsys, "audit", "--from", "one.json", "copy.json", "--json")[1]
    assert [one["machine"].rpartition(", ")[2] for one in json.loads(out)] == ["one.json", "copy.json"]
    code, _, err = run(capsys, "audit", "--from", "one.json", "bad.json", "--html", "none.html")
    assert (code, "bad.json: this is no audit" in err) == (6, True)
    assert not (place / "none.html").exists()
    assert run(capsys, "audit", "--from", "missing.json")[0] == 3
    for more in (["--unbound"], ["--machine", "m.sqlite"], ["--profile", "public"], ["--client", "chrome"]):
        assert run(capsys, "audit", *files, *more)[0] == 2


def test_audits_are_let_go_one_by_one() -> None:
    """A fleet's audits need not be in memory at once: each is garbage when the next one is asked for."""
    import gc
    import weakref

    from mlsssl._notebook.report_page import pieces

    class Dict(dict[str, object]):
        """A dict that can be pointed at weakly."""

    alive: list[weakref.ref[Dict]] = []

    def audits() -> Iterator[dict[str, object]]:
        for number in range(20):
            gc.collect()
            assert sum(one() is not None for one in alive) <= 2
            found = Dict(made_audit(300, f"m{number}", seed=number).to_dict())
            alive.append(weakref.ref(found))
            yield found

    page = "".join(pieces(audits()))
    assert len(data_of(page)["machines"]) == 20
    assert len(data_of(page)["rows"]) == 6000
