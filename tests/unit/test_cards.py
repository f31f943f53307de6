"""The notebook cards: right in structure, escaped against hostile names, without keys, and never raising."""

from __future__ import annotations

import datetime as dt
import html.parser
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsssl import strategies, testing
from mlsssl._formats.binding_keys import BindingOptions, CcsPort
from mlsssl._formats.pkcs12.explain import explain_pfx
from mlsssl._machine.ports import KeyAccess
from mlsssl._messages.output import escaped
from mlsssl._notebook import cards
from mlsssl._notebook.cards import Validity
from mlsssl._notebook.timeline import timeline
from mlsssl.auditing import audit
from mlsssl.authority import CertificateAuthority
from mlsssl.certificate import Certificate
from mlsssl.deployment import deploy
from mlsssl.endpoint import check_endpoint
from mlsssl.errors import InvalidInputError
from mlsssl.renewal import Renewal, renew, renew_due
from mlsssl.request import CertificateRequest
from mlsssl.reservation import UrlReservation
from mlsssl.superseded import cleanup
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl.machine import EmbeddedMachine

NOW = dt.datetime.now(dt.timezone.utc)
DAY = dt.timedelta(days=1)
HOSTILE = "\"><script>alert(1)</script>\u202e\x1b[31m&amp;'"
KEY = ec.derive_private_key(77, ec.SECP256R1())
ROOT = CertificateAuthority.create("Root", key=KEY, at=NOW - 500 * DAY, path_length=1)
MIDDLE = ROOT.create_intermediate("Middle", at=NOW - 400 * DAY)
GOOD = MIDDLE.issue("www.example.com", "10.0.0.5", key=KEY)
SOON = MIDDLE.issue("soon.example.com", at=NOW - 150 * DAY)
OVER = MIDDLE.issue("over.example.com", days=90, at=NOW - 100 * DAY)
VOID = frozenset({"br", "img", "wbr"})


class Page(html.parser.HTMLParser):
    """Reads a card and objects to tags that are not closed, to anything active, and to anything fetched."""

    def __init__(self, card: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words = ""
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.feed(card)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "iframe", "object", "link", "a", "form"), tag
        for name, value in attrs:
            assert name in ("class", "style", "role", "aria-label", "aria-level"), name
            assert "url(" not in (value or "")
            self.classes += (value or "").split() if name == "class" else []
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


def card(thing: object) -> Page:
    return Page(cast("Any", thing)._repr_html_())


@pytest.fixture(name="machine")
def _machine() -> Iterator[EmbeddedMachine]:
    with testing.memory_machine() as machine:
        for certificate in (GOOD, SOON, OVER):
            machine.store("MY").add(certificate)
        yield machine


# -- each card --------------------------------------------------------------------------------------------------------


def test_a_certificate_card_says_what_it_is() -> None:
    """Names, key, dates, thumbprint; the chain as a tree with the root outermost."""
    page = card(GOOD)
    for words in ("www.example.com", "10.0.0.5", "CN=Middle", "ec-p256", str(GOOD.thumbprint), "198 days left"):
        assert words in page.words
    assert (
        page.words.index("Root root") < page.words.index("Middle intermediate") < page.words.index("server · this one")
    )
    assert page.tags.count("ul") == 3
    assert "private key here" in page.words
    assert "private key here" not in card(GOOD.without_key()).words
    assert "chain" not in card(ROOT.certificate).words


def test_a_chain_has_a_card_of_its_own() -> None:
    """Its issuer first, each with its role and whole thumbprint; it is a tuple still, and may be empty."""
    page = card(GOOD.chain)
    assert (
        page.words.index("Middle")
        < page.words.index("intermediate")
        < page.words.index("Root")
        < page.words.index("root")
    )
    assert all(str(one.thumbprint) in page.words for one in GOOD.chain)
    assert GOOD.chain == tuple(GOOD.chain)
    assert "nothing came with it" in card(ROOT.certificate.chain).words


def test_no_card_holds_a_key() -> None:
    """Neither in hex nor in PEM nor as a number."""
    number = KEY.private_numbers().private_value
    texts = [GOOD._repr_html_(), ROOT.certificate._repr_html_()]
    for text in texts:
        assert "PRIVATE KEY--" not in text
        assert f"{number:064x}" not in text


def test_a_report_card_shows_path_and_findings() -> None:
    """What is wrong, where, and what to do; a good one says so."""
    good, bad = card(GOOD.check("www.example.com", trust=[ROOT])), card(OVER.check("else.example.com", trust=[ROOT]))
    assert "✓ ok" in good.words
    assert "no finding" in good.words
    assert good.words.index("CN=Root") < good.words.index("CN=Middle") < good.words.index("leaf")
    for words in ("✗ not ok", "name-mismatch", "expired", "2 errors", "trusted", "ca.issue(", "RFC 9525 section 6"):
        assert words in bad.words
    untrusted = card(GOOD.check("www.example.com", trust=[]))
    assert "not trusted" in untrusted.words


def test_a_plan_card_is_a_diff(machine: EmbeddedMachine) -> None:
    """Steps, minus and plus; what would be refused says so; nothing to do says that."""
    machine.bindings.add("0.0.0.0:443", SOON)
    page = card(deploy.plan("0.0.0.0:443", GOOD, machine=machine))
    assert f"− thumbprint: {SOON.thumbprint}" in page.words
    assert f"+ thumbprint: {GOOD.thumbprint}" in page.words
    assert "ready" in page.words
    assert f"on {machine.description}" in page.words  # without machine= a plan is for this computer
    assert "would be refused" in card(deploy.plan("0.0.0.0:444", OVER, machine=machine)).words
    assert "nothing to change" in card(deploy.plan("0.0.0.0:443", SOON, machine=machine)).words


def test_a_store_card_lists_what_ends_first(machine: EmbeddedMachine) -> None:
    """A bar for each in its tone, the key's state; an empty and a closed store have a card too."""
    store = machine.store("MY")
    page = card(store)
    assert page.words.index("over.example.com") < page.words.index("soon.example.com") < page.words.index("www.ex")
    assert "3 certificates" in page.words
    assert {"m-ok", "m-soon", "m-over"} <= set(page.classes)
    assert page.words.count("usable") == 3
    assert "the store is empty" in card(machine.store("Root")).words
    store.close()
    assert "0 certificates" in card(store).words


def test_a_store_without_a_private_key_says_so(machine: EmbeddedMachine) -> None:
    """The failing twin of "usable"."""
    machine.store("CA").add(MIDDLE.certificate)
    assert "none" in card(machine.store("CA")).words


def test_a_table_of_bindings(machine: EmbeddedMachine) -> None:
    """Key, certificate, what is left, owner, options; a certificate that was taken away is told of."""
    machine.bindings.add("0.0.0.0:443", GOOD, app_id="4dc3e181-e14b-4a21-b022-59fc669b0914")
    machine.bindings.add("0.0.0.0:444", SOON, options=BindingOptions(tls13=False))
    machine.bindings.add(CcsPort(445))
    page = card(machine.bindings)
    for words in ("0.0.0.0:443", "IIS", "tls13=False", "ccs=445", "from the central store", "3 bindings"):
        assert words in page.words
    machine.store("MY").remove(SOON.thumbprint)
    assert "not in MY" in card(machine.bindings).words


def test_an_audit_card_has_a_bar_for_each(machine: EmbeddedMachine) -> None:
    """Three tones, three patterns, and the words beside them."""
    for port, certificate in ((443, GOOD), (444, SOON), (445, OVER)):
        machine.bindings.add(f"0.0.0.0:{port}", certificate)
    machine.bindings.add(CcsPort(446))
    page = card(audit(machine=machine, unbound=True))
    assert sum(one in ("m-bar", "m-bar-over") for one in page.classes) == 3
    for words in ("198 days left", "48 days left", "expired 10 days ago", "renewal-due", "✗ errors"):
        assert words in page.words


class Terminal:
    """IPython's printer, as far as it is used."""

    def __init__(self, thing: object) -> None:
        self.words = ""
        cast("Any", thing)._repr_pretty_(self, cycle=False)

    def text(self, text: str, /) -> None:
        self.words += text


def test_where_there_is_no_html_there_is_text(machine: EmbeddedMachine) -> None:
    """IPython in a terminal shows what the cards show, in lines."""
    machine.bindings.add("0.0.0.0:443", OVER)
    assert "name-mismatch" in Terminal(OVER.check("else.example.com", trust=[ROOT])).words
    assert "+ thumbprint" in Terminal(deploy.plan("0.0.0.0:444", GOOD, machine=machine)).words
    assert "renewal-due" in Terminal(audit(machine=machine)).words
    assert "www.example.com" in Terminal(machine.store("MY")).words
    assert f"0.0.0.0:443  {OVER.thumbprint}" in Terminal(machine.bindings).words
    closed = machine.store("MY")
    closed.close()
    assert "closed" in Terminal(closed).words


# -- hostile and broken certificates ----------------------------------------------------------------------------------


def hostile() -> Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTILE, _validate=False)])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, NOW - DAY, NOW + DAY)
    uri = x509.UniformResourceIdentifier("https://x/%3Cscript>alert(2)</script>")
    builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=False)
    return Certificate(builder.sign(KEY, hashes.SHA256()), private_key=KEY).with_friendly_name(HOSTILE)


def broken() -> Certificate:
    """One whose subjectAltName is no DER at all."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broken")])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, NOW - DAY, NOW + DAY)
    for oid in ("2.5.29.17", "2.5.29.19"):
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\xff"), critical=False)
    return Certificate(builder.sign(KEY, hashes.SHA256()))


@pytest.mark.parametrize("certificate", [hostile(), broken()], ids=["hostile", "broken"])
def test_every_card_stands_hostile_certificates(certificate: Certificate) -> None:
    """No tag, no escape sequence, no direction override, no exception; what was there can still be read."""
    with testing.memory_machine() as machine:
        machine.store("MY").add(certificate, friendly_name=HOSTILE)
        things = [certificate, certificate.check("a.test", trust=[certificate]), machine.store("MY")]
        if certificate.has_private_key:
            machine.bindings.add("0.0.0.0:443", certificate)
            plan = deploy.plan("0.0.0.0:443", GOOD.with_friendly_name(HOSTILE), machine=machine)
            things += [machine.bindings, audit(machine=machine), plan]
        for thing in things:
            text = cast("Any", thing)._repr_html_()
            page = Page(text)
            assert "<script" not in text
            assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)
            assert not set(page.tags) & {"script", "img"}
    if certificate.has_private_key:
        assert "<script>alert(1)</script>\\u202e\\x1b[31m&amp;'" in card(certificate).words
    svg = timeline([certificate]).to_svg()
    assert "<script" not in svg
    assert ET.fromstring(svg).tag.endswith("svg")


@given(text=st.text())
def test_escaping_leaves_nothing_active(text: str) -> None:
    """Whatever the text: no angle bracket, no quote, nothing that does not print."""
    shown = escaped(text, limit=50)
    assert not set(shown) & set("<>\"'")
    assert shown.isprintable()
    assert len(html.unescape(shown)) <= 50 if text.isprintable() else True


@settings(max_examples=examples(30), deadline=None)
@given(certificate=strategies.certificates(), chain=strategies.chains())
def test_any_certificate_has_a_card(certificate: Certificate, chain: strategies.Chain) -> None:
    """Well-formed, whatever is drawn."""
    assert card(certificate).words
    assert card(chain.check()).words


# -- pieces -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "tone", "words"),
    [
        (-DAY / 2, "over", "valid in 12 hours"),
        (DAY, "ok", "89 days left"),
        (61 * DAY, "soon", "29 days left"),
        (88.5 * DAY, "soon", "1 day left"),
        (90 * DAY - dt.timedelta(hours=1, minutes=30), "soon", "1 hour left"),
        (93 * DAY, "over", "expired 3 days ago"),
    ],
)
def test_what_is_left_in_words(at: dt.timedelta, tone: str, words: str) -> None:
    """Before, within, in the last third, at the end, and after."""
    validity = Validity(start=NOW, end=NOW + 90 * DAY, at=NOW + at)
    assert (validity.tone, validity.words) == (tone, words)
    assert 0 <= validity.share_left <= 1


def test_a_validity_of_no_length() -> None:
    """A certificate that ends when it begins has nothing left, and divides nothing by zero."""
    assert Validity(start=NOW, end=NOW, at=NOW).share_left == 0
    assert Validity(start=NOW, end=NOW - DAY, at=NOW).tone == "over"


def test_long_tables_say_how_much_is_missing() -> None:
    """A store of thousands does not drown the notebook."""
    page = Page(cards.table(("a",), [["x"]] * (cards.ROW_LIMIT + 23), empty=""))
    assert page.tags.count("td") == cards.ROW_LIMIT
    assert "and 23 more" in page.words


def test_tones_differ_without_colour() -> None:
    """For print and for colour-blind readers: another sign for each tone, and another pattern for each bar."""
    signs = {Page(cards.sign(cast("Any", tone), "")).words for tone in ("ok", "soon", "over")}
    assert len(signs) == 3
    style = cards.card("")
    for kind in ("left-soon", "span-soon", "bar-over", "span-over"):
        assert re.search(rf"\.m-{kind}[^{{}}]*{{background-image:repeating-linear-gradient", style)
    assert "dashed" in cards.bar(0, "over", "")  # also where there is no style sheet


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [cards._LIGHT, cards._DARK], ids=["light", "dark"])
def test_words_can_be_read(theme: dict[str, str]) -> None:
    """Every colour of text has the contrast 4.5 to its ground that WCAG 2.1 asks for (criterion 1.4.3)."""
    ground = _luminance(theme["ground"])
    for name in ("ink", "faint", "ok", "soon", "over", "note"):
        lighter, darker = sorted((_luminance(theme[name]), ground), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name


def test_a_card_needs_no_style_sheet() -> None:
    """Where a notebook strips it, all its colours and measures are still there; nothing has to be worked out."""
    text = re.sub("<style>.*?</style>", "", GOOD._repr_html_())
    assert "background-color:#ffffff" in text
    assert "width:" in text
    assert "var(" not in text
    assert "$" not in text
    for tag in re.findall(r"<(?!tr|thead|tbody|br|wbr|/)[^>]+>", text):
        assert 'style="' in tag, tag


def test_long_words_may_be_broken() -> None:
    """Only long ones, at dots before elsewhere; what is copied is the same."""
    assert cards.text("www.example.com & more") == "www.example.com &amp; more"
    assert cards.text("host.department.example.com") == "host.<wbr>department.<wbr>example.<wbr>com"
    for text in ("x" * 300, "host." * 30 + "example", "<b>" * 40, "a" * 24 + "é" * 24):
        shown = cards.text(text)
        assert html.unescape(shown.replace("<wbr>", "")) == text
        assert max(len(html.unescape(one)) for one in shown.split("<wbr>")) <= 12
    assert cards.text("x" * 900).endswith("…")


def test_a_card_is_small() -> None:
    """A hundred rows with all that stands at their elements: a notebook keeps every output."""
    rows = [[cards.code(GOOD.thumbprint, whole=True), "x" * 50, cards.bar(50, "ok", "42 days left"), "usable"]] * 100
    text = cards.listing("LocalMachine\\MY", "certificate", ("a", "b", "c", "d"), rows, empty="")
    assert len(text) < 200_000
    assert len(cards.card("")) < 7_000


def test_cards_follow_light_and_dark() -> None:
    """The reader's system, JupyterLab's theme, VS Code's, and paper."""
    style = cards.themes("mlsssl")
    for where in ("prefers-color-scheme:dark", "data-jp-theme-light=false", "vscode-dark", "@media print"):
        assert where in style


# -- the timeline -----------------------------------------------------------------------------------------------------


def test_a_timeline_is_a_picture_and_text() -> None:
    """One bar each in the order of their ends, a line for today; the same as text; well-formed XML."""
    line = Certificate.timeline([GOOD, OVER, SOON])
    picture = ET.fromstring(line.to_svg())
    bars = [one for one in picture.iter() if one.tag.endswith("rect") and one.get("class") in ("ok", "soon", "over")]
    assert [bar.get("class") for bar in bars] == ["over", "soon", "ok"]
    assert [one.get("class") for one in picture.iter() if one.tag.endswith("line")].count("now") == 1
    assert cast("Any", line)._repr_svg_() == line.to_svg()
    text = str(line)
    assert text.index("over.example.com") < text.index("soon.example.com") < text.index("www.example.com")
    assert "expired 10 days ago" in text
    assert repr(line) == text


@pytest.mark.parametrize("days", [1, 30, 400, 3000])
def test_ticks_are_few(days: int) -> None:
    """Two to nine, or so, whether the span is weeks or ten years."""
    at = dt.datetime(2026, 2, 3, tzinfo=dt.timezone.utc)
    authority = CertificateAuthority.create("A", key=KEY, at=at, days=3600)
    svg = timeline([authority.issue("a.test", key=KEY, at=at, days=days)], at=at + DAY).to_svg()
    assert svg.count('class="tick"') <= 9


@settings(max_examples=examples(30), deadline=None)
@given(certificates=st.lists(strategies.certificates(), min_size=1, max_size=4), days=st.integers(-5000, 5000))
def test_any_timeline_can_be_drawn(certificates: list[Certificate], days: int) -> None:
    """Well-formed, wherever today is."""
    svg = timeline(certificates, at=strategies.CLOCK + days * DAY).to_svg()
    assert ET.fromstring(svg).get("viewBox")


def test_a_timeline_needs_certificates_and_a_zone() -> None:
    """Nothing to draw and a naive moment are refused."""
    with pytest.raises(InvalidInputError, match="at least one"):
        timeline([])
    with pytest.raises(InvalidInputError, match="time zone"):
        timeline([GOOD], at=dt.datetime(2026, 1, 1))  # noqa: DTZ001 -- the point of it


# -- everything else that one can have in hand ------------------------------------------------------------------------


def test_the_card_of_an_outcome(machine: EmbeddedMachine) -> None:
    """What was done, from what to what; nothing to do, and an undo, say so."""
    machine.bindings.add("0.0.0.0:443", SOON)
    outcome = deploy("0.0.0.0:443", GOOD, machine=machine)
    page = card(outcome)
    for words in (
        "deploy of 0.0.0.0:443 · ✓ done",
        f"− certificate: {SOON.thumbprint}",
        f"+ certificate: {GOOD.thumbprint}",
    ):
        assert words in page.words
    assert page.tags.count("ol") == 1
    assert "i nothing to change" in card(deploy("0.0.0.0:443", GOOD, machine=machine)).words
    assert "undo of 0.0.0.0:443" in card(outcome.undo()).words
    machine.bindings.add("0.0.0.0:444", SOON)
    together = renew("0.0.0.0:443", MIDDLE, machine=machine, everywhere=True)
    assert "renew of 0.0.0.0:443 and 0.0.0.0:444 · ✓ done" in card(together).words


def test_the_card_of_what_a_server_sent(machine: EmbeddedMachine) -> None:
    """What was agreed on, every certificate sent, and the report."""
    deploy("0.0.0.0:443", GOOD, machine=machine)
    with machine.listen().start() as listener:
        address = f"127.0.0.1:{listener.port_of('0.0.0.0:443')}"
        good = card(check_endpoint(address, host="www.example.com", trust=[ROOT]))
        bad = card(check_endpoint(address, host="else.example.com", trust=[ROOT]))
    for words in (address, "TLSv1.3", "CN=www.example.com", "CN=Middle", "✓ ok", "✓ trusted"):
        assert words in good.words
    assert "✗ not ok" in bad.words
    assert "name-mismatch" in bad.words


def test_the_card_of_a_request() -> None:
    """Names, key, and whether its private key is here."""
    request = CertificateRequest.create("www.example.com", "10.0.0.5", key=KEY)
    page = card(request)
    for words in ("www.example.com, 10.0.0.5", "ec-p256", request.fingerprint, "✓ private key here"):
        assert words in page.words
    assert "no private key" in card(request.without_key()).words


def test_the_cards_of_an_entry_and_of_a_binding(machine: EmbeddedMachine) -> None:
    """One certificate of a store, one binding; a certificate that is gone is told of."""
    entry = machine.store("MY")[SOON.thumbprint]
    page = card(entry)
    for words in ("soon.example.com", "LocalMachine\\MY", "✓ usable", "48 days left", str(SOON.thumbprint)):
        assert words in page.words
    machine.store("CA").add(MIDDLE.certificate)
    assert "none" in card(machine.store("CA")[MIDDLE.certificate.thumbprint]).words
    binding = machine.bindings.add("0.0.0.0:443", SOON, app_id="4dc3e181-e14b-4a21-b022-59fc669b0914")
    page = card(binding)
    for words in ("binding 0.0.0.0:443", "soon.example.com", "48 days left", "IIS", "default options"):
        assert words in page.words
    machine.store("MY").remove(SOON.thumbprint)
    assert "✗ not in MY" in card(binding).words


def test_the_cards_of_an_entry_and_of_a_binding_hide_nothing(machine: EmbeddedMachine) -> None:
    """Every name, and the dates beside the bar."""
    dates = f"{GOOD.not_before:%Y-%m-%d} to {GOOD.not_after:%Y-%m-%d}"
    entry = card(machine.store("MY")[GOOD.thumbprint])
    assert "www.example.com, 10.0.0.5" in entry.words
    assert dates in entry.words
    assert dates in card(machine.bindings.add("0.0.0.0:443", GOOD)).words


def test_signs_stay_with_their_words(machine: EmbeddedMachine) -> None:
    """In a narrow column "✓" was beside a bar and "198 days left" below it, and a date was broken at its hyphen."""
    for thing in (machine.store("MY"), machine.bindings.add("0.0.0.0:443", GOOD), GOOD.chain):
        shown = cast("Any", thing)._repr_html_()
        for words in re.findall(r'<span class="m-ok" style="([^"]*)">[^<]*days left', shown):
            assert "white-space:nowrap" in words
    span = re.search(r'<th class="m-head" style="([^"]*)">\d{4}-', timeline([GOOD])._repr_html_())
    assert span is not None
    assert "white-space:nowrap" in span[1]
    named = re.search(r'<th class="m-head" style="([^"]*)">www', GOOD.diff(SOON)._repr_html_())
    assert named is not None
    assert "white-space:nowrap" not in named[1]  # a name may be of any length


def test_a_finding_says_every_client_as_the_text_does() -> None:
    """Nine names in a row say less than "every"; where some are left out, they are named."""
    report = GOOD.check("else.example.com", trust=[ROOT])
    assert "refused by every client that is known here" in card(report).words
    some = {**report.findings[0].to_dict(), "refused_by": ["go", "java"]}
    assert "refused by go, java" in cards.findings([some])


def test_words_of_x509_are_not_broken() -> None:
    """A narrow column of names is as wide as the longest of them."""
    assert cards.text("extension authorityKeyIdentifier") == "extension authorityKeyIdentifier"


def test_the_card_of_a_machine(machine: EmbeddedMachine) -> None:
    """What is bound, and the stores; one that is closed says so and shows no traceback."""
    machine.bindings.add("0.0.0.0:443", SOON)
    page = card(machine)
    for words in (machine.description, "MY", "0.0.0.0:443", "soon.example.com"):
        assert words in page.words
    with testing.memory_machine() as empty:
        assert "nothing is bound" in card(empty).words
    assert card(empty).words.count("✗") == 2


def test_the_card_of_an_authority() -> None:
    """Its certificate, and where its revocation lists are."""
    page = card(CertificateAuthority.create("Listed", key=KEY, crl_url="http://crl.example.com/a.crl"))
    assert "authority Listed" in page.words
    assert "http://crl.example.com/a.crl" in page.words
    assert "revocation lists" not in card(ROOT).words


def test_the_card_of_a_pfx() -> None:
    """What is in it and who reads it; a wrong password and a weak file say so; no password is on it."""
    data = GOOD.to_pfx("a secret of ours", readable_by="windows-11")
    page = card(explain_pfx(data, "a secret of ours"))
    for words in ("✓ right", "CN=www.example.com", "✓ reads it", "✗ does not read it"):
        assert words in page.words
    assert "a secret of ours" not in page.words
    assert "✗ wrong" in card(explain_pfx(data, "another")).words
    assert "closed without the password" in card(explain_pfx(data)).words


def test_the_cards_of_renewals_and_of_a_cleanup(machine: EmbeddedMachine) -> None:
    """What was renewed, what failed and why; what a cleanup took out, and what stays."""
    machine.store("Root").add(ROOT.certificate)
    machine.bindings.add("0.0.0.0:443", SOON)
    machine.bindings.add("0.0.0.0:444", GOOD)
    found = renew_due(MIDDLE, machine=machine)
    page = card(found)
    for words in ("2 bindings", "✓ renewed", "i skipped", "0.0.0.0:443", "0.0.0.0:444"):
        assert words in page.words
    assert "1 binding" in card(found[0]).words
    rows = found.to_rows()
    assert [row["result"] for row in rows] == [one.result for one in found] == ["renewed", "skipped"]
    assert rows[0]["thumbprint"] == str(machine.bindings["0.0.0.0:443"].thumbprint)
    assert rows[1]["why"]
    failed = Renewal(key=None, error=InvalidInputError("no <key>"))
    assert "✗ failed" in card(failed).words
    assert "no <key>" in card(failed).words
    assert "i kept" in card(cleanup(machine=machine)).words
    assert "✓ removed" in card(cleanup(machine=machine, grace=dt.timedelta(0))).words
    assert "no certificate was superseded" in card(cleanup(machine=machine)).words


def test_the_card_of_a_revocation_list() -> None:
    """Whose, until when, and what it revokes; an empty one says so."""
    page = card(ROOT.crl([(0xAB, NOW, "keyCompromise")], number=5, at=NOW - DAY))
    for words in ("CN=Root · 1 revoked", "29 days left"[3:], "ab", "keyCompromise"):
        assert words in page.words
    assert "nothing is revoked" in card(ROOT.crl()).words
    assert "expired" in card(ROOT.crl(at=NOW - 90 * DAY)).words


def test_the_card_of_a_right_on_a_key() -> None:
    """Who, and what he may."""
    page = card(KeyAccess(name="NT AUTHORITY\\NETWORK SERVICE", sid="S-1-5-20", right="read"))
    assert "✓ read" in page.words
    assert "S-1-5-20" in page.words
    assert "✗ denied" in card(KeyAccess(name="x", sid="S-1-5-21-1", right="denied")).words


def test_the_cards_of_reservations(machine: EmbeddedMachine) -> None:
    """The prefix, and who may listen there; a list that cannot be read is shown as it is."""
    reserved = UrlReservation("https://+:443/mls/", user="NT SERVICE\\MLS", machine=machine).add()
    page, pages = card(reserved), card(machine.reservations)
    assert "https://+:443/mls/" in page.words
    assert "NT SERVICE\\MLS" in page.words
    assert "https://+:443/mls/S-1-5-80-" in pages.words  # the embedded machine knows no names for other programs' SIDs
    assert reserved.sddl in card(reserved).words
    with testing.memory_machine() as empty:
        assert "nothing is reserved" in card(empty.reservations).words


def test_a_timeline_is_a_card_too() -> None:
    """With a bar, and today, for each: JupyterLab shows a picture only where it trusts."""
    page = card(timeline([GOOD, OVER, SOON]))
    assert page.words.index("over.example.com") < page.words.index("soon.example.com") < page.words.index("www.example")
    assert [one for one in page.classes if one.startswith("m-span")] == ["m-span-over", "m-span-soon", "m-span-ok"]
    assert page.classes.count("m-today") == 3


# -- rows for tables of other programs --------------------------------------------------------------------------------


def test_rows_of_a_store(machine: EmbeddedMachine) -> None:
    """All with the same keys, moments as moments; what cannot be read is None."""
    store = machine.store("MY")
    store.add(broken())
    rows = store.to_rows()
    assert len({tuple(row) for row in rows}) == 1
    by_names = {row["names"]: row for row in rows}
    good = by_names["www.example.com, 10.0.0.5"]
    assert good["not_after"] == GOOD.not_after
    assert good["private_key"] == "usable"
    assert by_names[None]["subject"] == "CN=broken"
    assert by_names[None]["private_key"] is None
    assert machine.store("Root").to_rows() == []


def test_rows_of_an_audit(machine: EmbeddedMachine) -> None:
    """Moments as moments; JSON has text."""
    machine.bindings.add("0.0.0.0:443", SOON)
    machine.bindings.add(CcsPort(444))
    found = audit(machine=machine)
    first, second = found.to_rows()
    assert first["not_after"] == SOON.not_after
    assert isinstance(first["renew_from"], dt.datetime)
    assert second["not_after"] is None
    assert SOON.not_after.isoformat() in found.to_json()
