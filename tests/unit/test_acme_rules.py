"""`AcmeIssuer` where a server makes it wait: renewal information, rate limits, Retry-After, odd answers."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from acme_stand_in import Reply, StandIn, decoded, problem, stand_in
from chains import leaf, root
from mlsssl import Certificate, CertificateAuthority, CertificateRequest
from mlsssl.errors import IssuePendingError, IssuerError
from mlsssl.issuers._acme import chains, client
from mlsssl.issuers._acme.client import retry_seconds
from mlsssl.issuers.acme import AcmeIssuer
from mlsssl.issuers.challenges import WebrootChallenge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

UTC = dt.timezone.utc
DAY = dt.timedelta(days=1)


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[StandIn]:
    with stand_in(tmp_path) as server:
        yield server


@pytest.fixture(name="make")
def _make(server: StandIn, tmp_path: Path) -> Callable[..., AcmeIssuer]:
    site = tmp_path / "site"
    site.mkdir()

    def make(**options: Any) -> AcmeIssuer:
        given = {"trust": server.trust, "state": tmp_path / "state", "timeout": 30, **options}
        return AcmeIssuer(server.directory, [WebrootChallenge(site)], **given)

    return make


@pytest.fixture(name="waits")
def _waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait. Nobody waits, but time goes on by so much."""
    waits: list[float] = []

    class Time:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + sum(waits)

        @staticmethod
        def sleep(seconds: float) -> None:
            waits.append(seconds)

    monkeypatch.setattr(client, "time", Time)
    return waits


def request(name: str = "a.example") -> CertificateRequest:
    return CertificateRequest.create(name, key="ec-p256")


def now() -> dt.datetime:
    return dt.datetime.now(UTC)


def test_the_stand_in_issues(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    made = make().issue(request())
    assert made.check("a.example", trust=[server.ca]).ok
    assert server.asked["/new-order"] == 1


# -- renewal information (RFC 9773) -----------------------------------------------------------------------------------


def window(start: dt.datetime, end: dt.datetime, **headers: str) -> Callable[[Any], Reply]:
    body = {"suggestedWindow": {"start": start.isoformat(), "end": end.isoformat().replace("+00:00", "Z")}}
    return lambda _payload: Reply(body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_moment_in_the_suggested_window(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """The same one in every process, another for every certificate, and all over the window."""
    start, end = now() + 10 * DAY, now() + 12 * DAY
    server.instead["/renewal/"] = window(start, end)
    certificates = [server.ca.issue(f"a{number}.example", key="ec-p256") for number in range(30)]
    moments = [make().renewal_time(one) for one in certificates]
    assert all(moment is not None and start <= moment <= end for moment in moments)
    assert len(set(moments)) == len(moments)
    found = sorted(moment for moment in moments if moment is not None)
    assert found[-1] - found[0] > DAY
    assert [make().renewal_time(one) for one in certificates] == moments
    assert server.asked["/renewal"] == len(certificates)
    # Another state, as on another machine with the same certificate: the same moment.
    assert make(state=make().state_folder.parent / "other").renewal_time(certificates[0]) == moments[0]


def test_how_a_certificate_is_named_there(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """Key identifier, a dot, the serial number as in DER (RFC 9773 section 4.1)."""
    made = server.ca.issue("a.example", key="ec-p256")
    make().renewal_time(made)
    (path,) = [path for path, _ in server.seen if path.startswith("/renewal/")]
    key, serial = (decoded(part) for part in path.removeprefix("/renewal/").split("."))
    assert int.from_bytes(serial, "big", signed=True) == made.serial_number
    assert key.hex() in made.to_der().hex()
    assert chains.identifier(made) == path.removeprefix("/renewal/")


def test_it_asks_again_when_the_server_wants(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """Retry-After from a minute to a day, 6 hours without one; until then the disk answers, also when a time moves."""
    made = server.ca.issue("a.example", key="ec-p256")
    expected = {"7200": 7200.0, "1": 60.0, "999999999": 86400.0, "": 6 * 3600.0, "soon": 6 * 3600.0}
    for number, (header, seconds) in enumerate(expected.items()):
        server.instead["/renewal/"] = window(now(), now() + DAY, **({"Retry_After": header} if header else {}))
        issuer = make(state=make().state_folder.parent / str(number))
        before = now()
        issuer.renewal_time(made)
        asked = server.asked["/renewal"]
        (record,) = issuer.state_folder.glob("renewal-*.json")
        again = dt.datetime.fromisoformat(json.loads(record.read_text())["again"])
        assert dt.timedelta(0) <= again - before - dt.timedelta(seconds=seconds) < dt.timedelta(seconds=20)
        issuer.renewal_time(made)
        assert server.asked["/renewal"] == asked
        record.write_text(json.dumps({**json.loads(record.read_text()), "again": before.isoformat()}))
        server.instead["/renewal/"] = window(now() - 2 * DAY, now() - DAY)  # it has to be revoked: renew at once
        moved = issuer.renewal_time(made)
        assert moved is not None
        assert moved < now()
        assert server.asked["/renewal"] == asked + 1


@pytest.mark.parametrize(
    "reply",
    [
        problem("serverInternal", 500),
        problem("malformed", 404),
        Reply(b"<html>"),
        Reply({"suggestedWindow": None}),
        Reply({"suggestedWindow": {"start": "soon", "end": "later"}}),
        Reply({"suggestedWindow": {"start": "2026-12-02T00:00:00Z", "end": "2026-12-01T00:00:00Z"}}),
        Reply([]),
    ],
)
def test_a_server_that_says_nothing_of_use(
    reply: Reply, server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float]
) -> None:
    """None, without an error; what it said before stands."""
    made = server.ca.issue("a.example", key="ec-p256")
    server.instead["/renewal/"] = lambda _payload: reply
    issuer = make()
    assert issuer.renewal_time(made) is None
    asked = server.asked["/renewal"]
    assert issuer.renewal_time(made) is None
    assert server.asked["/renewal"] == asked, "asked again in no time"
    (record,) = issuer.state_folder.glob("renewal-*.json")
    kept = {"start": "2026-12-01T00:00:00+00:00", "end": "2026-12-02T00:00:00+00:00", "again": now().isoformat()}
    record.write_text(json.dumps(kept))
    stands = issuer.renewal_time(made)
    assert stands is not None
    assert stands.date() == dt.date(2026, 12, 1)


def test_who_is_not_asked(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """About a certificate that is over, or does not name its issuer's key; and a server that has no such thing."""
    ca = CertificateAuthority.create("Old", key="ec-p256", at=now() - 9 * DAY)
    over = ca.issue("a.example", key="ec-p256", days=1, at=now() - 3 * DAY)
    assert make().renewal_time(over) is None
    nameless = leaf(root()).without(x509.AuthorityKeyIdentifier).certificate()
    assert chains.identifier(Certificate(nameless)) is None
    assert server.asked["/renewal"] == 0
    made = server.ca.issue("a.example", key="ec-p256")
    server.instead["/dir"] = lambda _payload: Reply({"newNonce": "https://127.0.0.1/"})
    assert make().renewal_time(made) is None


def test_a_server_that_is_gone(server: StandIn, make: Callable[..., AcmeIssuer], tmp_path: Path) -> None:
    made = server.ca.issue("a.example", key="ec-p256")
    issuer = AcmeIssuer("https://127.0.0.1:9/dir", state=tmp_path / "gone")
    began = time.monotonic()
    assert issuer.renewal_time(made) is None
    assert time.monotonic() - began < 60


def test_a_new_order_says_what_it_replaces(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """Where the server has renewal information, and for a certificate of its own; a refusal of that costs nothing."""
    issuer = make()
    old = issuer.issue(request())
    issuer.issue(request(), old=old)
    foreign = CertificateAuthority.create("Other", key="ec-p256").issue("a.example", key="ec-p256")
    issuer.issue(request(), old=foreign)
    asked = [payload.get("replaces") for path, payload in server.seen if path == "/new-order"]
    assert asked == [None, chains.identifier(old), None]
    server.instead["/new-order"] = lambda payload: problem("alreadyReplaced", 409) if "replaces" in payload else None
    assert issuer.issue(request(), old=old).names == ("a.example",)


# -- waiting ----------------------------------------------------------------------------------------------------------


def test_a_rate_limit_is_kept(server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float]) -> None:
    """For every process, until the server's own time: for these names when the order was limited, else for all."""
    server.instead["/new-order"] = lambda _payload: problem("rateLimited", 429, Retry_After="7200")
    with pytest.raises(IssuePendingError, match=r"because of rateLimited \(rateLimited\); not again before") as caught:
        make().issue(request())
    until = caught.value.not_before
    assert until is not None
    assert abs(until - now() - dt.timedelta(hours=2)) < dt.timedelta(minutes=1)
    del server.instead["/new-order"]
    asked = server.asked.copy()
    for _ in range(2):
        with pytest.raises(IssuePendingError, match=r"is not asked again before .*because of rateLimited") as again:
            make().issue(request())
        assert again.value.not_before == until
    assert server.asked == asked
    assert waits == []
    make().issue(request("b.example"))
    (limit,) = make().state_folder.glob("limit-*.json")
    limit.write_text(json.dumps({**json.loads(limit.read_text()), "not_before": now().isoformat()}))
    make().issue(request())
    assert not limit.exists()


@pytest.mark.parametrize("kind", ["limit", "failures"])
def test_what_limits_nothing_any_more_is_forgotten(make: Callable[..., AcmeIssuer], kind: str) -> None:
    """Names that are ordered no more left their records for ever; what may count still stays, as does a damaged one."""
    folder = make().state_folder
    make().issue(request())
    days = {"old": 61, "counted": 59, "ends": -1}
    for name, ago in days.items():
        moment = (now() - dt.timedelta(days=ago)).isoformat()
        (folder / f"{kind}-{name}.json").write_text(json.dumps({"not_before": moment, "count": 3, "why": "it said so"}))
    (folder / f"{kind}-undated.json").write_text(json.dumps({"count": 1}))
    (folder / f"{kind}-damaged.json").write_text("no record")
    make().issue(request("b.example"))
    left = {file.stem.partition("-")[2] for file in folder.glob(f"{kind}-*.json")}
    assert left == {"counted", "ends", "damaged"}


def test_a_first_failure_is_dated(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """Although it may be tried again at once: so that it is forgotten some day."""
    server.instead["/authorization/"] = lambda _payload: Reply({"status": "invalid"})
    assert error_of(make(), request()) is not None
    (record,) = make().state_folder.glob("failures-*.json")
    assert json.loads(record.read_text())["not_before"] <= now().isoformat()
    del server.instead["/authorization/"]
    make().issue(request())
    assert not record.exists()


def test_a_rate_limit_of_the_account(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """Before there is an order: for every name."""
    server.instead["/account"] = lambda _payload: problem("rateLimited", 429, Retry_After="60")
    for name in ("a.example", "b.example"):
        with pytest.raises(IssuePendingError, match="because of rateLimited"):
            make().issue(request(name))
    assert server.asked["/account"] == 1


def test_rate_limits_without_a_time_grow(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """A minute, two, four, up to a day."""
    server.instead["/new-order"] = lambda _payload: problem("rateLimited", 429)
    waits = []
    for _ in range(13):
        with pytest.raises(IssuePendingError) as caught:
            make().issue(request())
        assert caught.value.not_before is not None
        waits.append(round((caught.value.not_before - now()).total_seconds() / 60))
        (limit,) = make().state_folder.glob("limit-*.json")
        limit.write_text(json.dumps({**json.loads(limit.read_text()), "not_before": now().isoformat()}))
    assert waits[:11] == [2**number for number in range(11)]
    assert waits[11:] == [1440, 1440]


def test_a_slow_order(server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float]) -> None:
    """Looked at when the server says, or less and less often; at the end of the time, the next run goes on with it."""
    looks = 0

    def processing(_payload: Any) -> Reply | None:
        nonlocal looks
        looks += 1
        if server.orders[0]["status"] == "valid" and looks < 15:
            return Reply({"status": "processing"}, headers={"Retry-After": "7"} if looks == 4 else {})
        return None

    server.instead["/order/"] = processing
    make(timeout=120).issue(request())
    assert 7.0 in waits
    longer = [wait for wait in waits if wait != 7.0]
    assert max(longer) <= 10.0
    assert sorted(longer[2:]) == longer[2:]
    assert len(server.orders) == 1


def test_the_time_is_over(server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float]) -> None:
    """An error with the moment to ask again; then the same order is gone on with."""
    wanted = request()
    server.instead["/order/"] = lambda _payload: (
        Reply({"status": "processing"}, headers={"Retry-After": "3600"})
        if server.orders[0]["status"] == "valid"
        else None
    )
    with pytest.raises(IssuePendingError, match=r"no certificate for a\.example yet; the next try goes on") as caught:
        make().issue(wanted)
    assert caught.value.not_before is not None
    assert dt.timedelta(minutes=59) < caught.value.not_before - now() <= dt.timedelta(minutes=60)
    del server.instead["/order/"]
    assert wanted.matches(make().issue(wanted))
    assert len(server.orders) == 1


def test_a_server_with_a_fault_for_a_moment(
    server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float]
) -> None:
    """Asked again after a while of the server's choice; for ever, it is an error, and not in a tight loop."""
    left = [2]

    def fault(_payload: Any) -> Reply | None:
        left[0] -= 1
        return problem("serverInternal", 503, Retry_After="5") if left[0] >= 0 else None

    server.instead["/authorization/"] = fault
    make().issue(request())
    assert waits.count(5.0) == 2
    left[0] = 10**9
    waits.clear()
    asked = server.asked["/authorization"]
    with pytest.raises(IssuerError, match="because of serverInternal") as caught:
        make().issue(request("b.example"))
    assert type(caught.value) is IssuerError
    assert server.asked["/authorization"] - asked <= 8
    assert sum(waits) >= 5


def test_bad_nonces(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """Each refusal brings the next nonce; a server that refuses all of them is given up."""
    left = [6]

    def refuse(_payload: Any) -> Reply | None:
        left[0] -= 1
        return problem("badNonce", 400) if left[0] >= 0 else None

    server.instead["/new-order"] = refuse
    make().issue(request())
    assert server.asked["/nonce"] == 0, "every answer brings a nonce"
    left[0] = 10**9
    asked = server.asked["/new-order"]
    with pytest.raises(IssuerError, match="badNonce"):
        make().issue(request("b.example"))
    assert server.asked["/new-order"] - asked <= 20


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 400, 1e12),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    found = retry_seconds(header)
    assert found == seconds or (seconds is not None and found is not None and abs(found - seconds) / seconds < 0.01)


def test_retry_after_as_a_date() -> None:
    later = now() + dt.timedelta(hours=1)
    found = retry_seconds(later.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert found is not None
    assert 3500 < found <= 3600
    assert retry_seconds("Sun, 06 Nov 1994 08:49:37 GMT") == 0.0


# -- odd answers ------------------------------------------------------------------------------------------------------

ODD = [
    Reply(b""),
    Reply(b"\xff\xfe"),
    Reply(b"[" * 100_000),
    Reply([]),
    Reply({}),
    Reply({"status": 5}),
    Reply({"status": "pending", "authorizations": 5, "finalize": 5, "identifiers": 5, "challenges": 5}),
    Reply({"status": "pending", "authorizations": [5, None, "http://a.example/"]}),
    Reply({"status": "pending", "identifier": [], "challenges": [5, {"type": 5}]}),
    Reply({"status": "pending", "identifier": {"type": "dns", "value": "../../x"}, "challenges": []}),
    Reply({"status": "ready"}),
    Reply({"status": "ready", "finalize": "file:///etc/passwd"}),
    Reply({"status": "valid", "certificate": 5}),
    Reply({"status": "invalid", "error": {"type": 5, "detail": [], "subproblems": [5, {}]}}),
    Reply({"type": "about:blank", "detail": "x" * 100_000}, 400),
    Reply(b"x", 302, {"Location": "https://127.0.0.1:9/"}),
    Reply(b"x" * 2_000_000),
    Reply(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
]


PATHS = ("/dir", "/nonce", "/account", "/new-order", "/order/", "/authorization/", "/challenge/", "/finalize/", "/cert")


@pytest.mark.parametrize("path", PATHS)
def test_odd_answers(
    path: str, server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float], tmp_path: Path
) -> None:
    """A certificate all the same, or our own error; then the request is fulfilled, and no file is left anywhere."""
    for number, odd in list(enumerate(ODD))[PATHS.index(path) % 2 :: 2]:
        waits.clear()
        server.instead[path] = lambda _payload, odd=odd: odd  # type: ignore[misc]  # no inference of a default
        issuer = make(timeout=60, state=tmp_path / f"state{number}")
        wanted = request()
        said = error_of(issuer, wanted)
        assert said is None or len(said) < 2000
        files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
        assert {file.parent.name for file in files} <= {"acme-challenge"}
        del server.instead[path]
        for record in issuer.state_folder.glob("failures-*.json"):
            record.unlink()
        assert wanted.matches(issuer.issue(wanted))
        assert [path for path in (tmp_path / "site").rglob("*") if path.is_file()] == [], number


def error_of(issuer: AcmeIssuer, wanted: CertificateRequest) -> str | None:
    try:
        issuer.issue(wanted)
    except IssuerError as error:
        return str(error)
    return None


@pytest.mark.parametrize("token", ["../../../evil", "", "a/b", "x" * 600, "a b", "tök", None, 5])
def test_a_token_that_is_none(
    token: object, server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float], tmp_path: Path
) -> None:
    challenge = {"type": "http-01", "url": server.directory, "token": token, "status": "pending"}
    body = {"status": "pending", "identifier": {"type": "dns", "value": "a.example"}, "challenges": [challenge]}
    server.instead["/authorization/"] = lambda _payload: Reply(body)
    with pytest.raises(IssuerError, match="gave a challenge that is none"):
        make(timeout=5).issue(request())
    assert list(tmp_path.rglob("*evil*")) == []
    assert list((tmp_path / "site").rglob("*")) == []


def test_a_certificate_for_another_key(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    other = server.ca.issue("a.example", key="ec-p256").to_pem()
    server.instead["/certificate/"] = lambda _payload: Reply(other)
    with pytest.raises(IssuerError, match="gave a certificate that is not for the key of the request"):
        make().issue(request())


def test_a_server_that_offers_other_challenges(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    challenge = {"type": "dns-persist-01", "url": server.directory, "status": "pending"}
    body = {"status": "pending", "identifier": {"type": "dns", "value": "a.example"}, "challenges": [challenge]}
    server.instead["/authorization/"] = lambda _payload: Reply(body)
    with pytest.raises(IssuerError, match=r"offers dns-persist-01 to show control over a\.example; here is http-01"):
        make().issue(request())


def test_what_was_left_of_other_orders_goes(server: StandIn, make: Callable[..., AcmeIssuer], tmp_path: Path) -> None:
    """An order that ran out: its file goes with the next order of any name; one that may yet be gone on with stays."""
    folder = tmp_path / "site" / ".well-known" / "acme-challenge"
    issuer = make()
    issuer.issue(request())
    for name, hours in (("over", -1), ("open", 1)):
        folder.joinpath(name).write_text("x")
        expires = (now() + dt.timedelta(hours=hours)).isoformat()
        record = {"placing": now().isoformat(), "order": "https://x/", "expires": expires}
        record["presented"] = [["http-01", "b.example", name, "x"]]  # type: ignore[assignment]  # as on disk
        (issuer.state_folder / f"order-{name}.json").write_text(json.dumps(record))
    issuer.issue(request("c.example"))
    assert [path.name for path in folder.iterdir()] == ["open"]
    assert not (issuer.state_folder / "order-over.json").exists()
    assert (issuer.state_folder / "order-open.json").exists()


def test_an_order_that_was_fulfilled_goes_after_a_week(server: StandIn, make: Callable[..., AcmeIssuer]) -> None:
    """Its certificate was fetched and kept for who was killed just then; before that it is given again."""
    issuer, wanted = make(), request()
    first = issuer.issue(wanted)
    path = issuer.state_folder / f"order-{wanted.fingerprint}.json"
    record = json.loads(path.read_text())
    kept = dt.datetime.fromisoformat(record["kept"])
    assert dt.timedelta(days=6.9) < kept - now() < dt.timedelta(days=7.1)
    issuer.issue(request("c.example"))
    assert path.exists()
    assert issuer.issue(wanted) == first
    path.write_text(json.dumps({**record, "kept": (now() - dt.timedelta(hours=1)).isoformat()}))
    issuer.issue(request("d.example"))
    assert not path.exists()
    assert len(list(issuer.state_folder.glob("order-*.json"))) == 2


def test_a_solver_that_cannot_clean_up(server: StandIn, make: Callable[..., AcmeIssuer], tmp_path: Path) -> None:
    """The certificate is not lost over it; the user is told, and the next run does it."""
    told: list[str] = []
    fails = [True]

    class Stubborn(WebrootChallenge):
        def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
            if fails[0]:
                raise IssuerError("the site is locked", issuer="x")
            super().cleanup(domain, token, key_authorization)

    issuer = AcmeIssuer(
        server.directory,
        [Stubborn(tmp_path / "site")],
        trust=server.trust,
        state=tmp_path / "state",
        progress=told.append,
    )
    issuer.issue(wanted := request())
    assert any("could not be taken away (the site is locked); the next run tries again" in text for text in told)
    assert [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    fails[0] = False
    issuer.issue(wanted)
    assert [path for path in (tmp_path / "site").rglob("*") if path.is_file()] == []


def test_what_could_not_be_cleaned_up_outlives_its_order(
    server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float], tmp_path: Path
) -> None:
    """The order fails, its file stays, and is still known when the next order is placed: then it goes."""
    fails = [True]

    class Stubborn(WebrootChallenge):
        def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
            if fails[0]:
                raise IssuerError("the site is locked", issuer="x")
            super().cleanup(domain, token, key_authorization)

    issuer = AcmeIssuer(
        server.directory, [Stubborn(tmp_path / "site")], trust=server.trust, state=tmp_path / "state", timeout=30
    )
    wanted = request()
    for number in range(2):  # the second order is placed while the first one's file is still there
        server.instead["/finalize/"] = lambda _payload: problem("badCSR", 400)
        with pytest.raises(IssuerError, match="badCSR"):
            issuer.issue(wanted)
        assert len([path for path in (tmp_path / "site").rglob("*") if path.is_file()]) == number + 1
    del server.instead["/finalize/"]
    fails[0] = False
    assert wanted.matches(issuer.issue(wanted))
    assert [path for path in (tmp_path / "site").rglob("*") if path.is_file()] == []
    assert len(server.orders) == 3


@pytest.mark.parametrize("listed", [None, 404, "https://127.0.0.1:9/"])
def test_an_order_whose_address_was_lost(
    listed: object, server: StandIn, make: Callable[..., AcmeIssuer], waits: list[float]
) -> None:
    """Killed before the order's address was on the disk, at a server with no list of orders, or none to read."""
    wanted, issuer = request(), make()
    issuer.issue(request("first.example"))
    record = issuer.state_folder / f"order-{wanted.fingerprint}.json"
    record.write_text(json.dumps({"placing": now().isoformat()}))
    record.chmod(0o600)
    if listed == 404:
        server.instead["/account"] = lambda _payload: problem("malformed", 404)
    elif listed is not None:
        server.instead["/account"] = lambda _payload: Reply({"status": "valid", "orders": listed})
        with pytest.raises(IssuerError, match="cannot be reached"):
            issuer.issue(wanted)
        del server.instead["/account"]
    assert wanted.matches(issuer.issue(wanted))


def test_nothing_of_it_is_imported_by_others() -> None:
    """Whoever does not use it pays nothing; nor does who names a class of challenges only."""
    import subprocess

    code = (
        "import sys, mlsssl, mlsssl.issuers, mlsssl.issuers.challenges, mlsssl.renewal\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('acme', 'josepy', 'requests', 'urllib3')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_staging_is_said(server: StandIn, tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "site").mkdir()
    server.instead["/dir-staging"] = lambda _payload: server._dir("", None)
    issuer = AcmeIssuer(
        f"{server.directory}-staging",
        [WebrootChallenge(tmp_path / "site")],
        trust=server.trust,
        state=tmp_path / "state",
        progress=told.append,
    )
    assert isinstance(issuer.issue(request()), Certificate)
    assert any("is a staging server: no client trusts its certificates" in text for text in told)
