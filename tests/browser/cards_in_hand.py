"""Everything that has a card, long names and all, to be looked at in the hosts that show it."""

from __future__ import annotations

import datetime as dt
import html.parser
import json
from typing import Any, cast

from mlsssl import testing
from mlsssl._formats.binding_keys import BindingOptions, CcsPort
from mlsssl._formats.pkcs12.explain import explain_pfx
from mlsssl._machine.ports import KeyAccess
from mlsssl._notebook.timeline import timeline
from mlsssl.auditing import audit
from mlsssl.authority import CertificateAuthority
from mlsssl.deployment import deploy
from mlsssl.endpoint import check_endpoint
from mlsssl.renewal import renew_due
from mlsssl.request import CertificateRequest
from mlsssl.reservation import UrlReservation
from mlsssl.superseded import cleanup

DAY = dt.timedelta(days=1)


def things() -> dict[str, str]:
    """The card of each thing, as HTML, by what it is."""
    now = dt.datetime.now(dt.timezone.utc)
    root = CertificateAuthority.create("Root CA", key="ec-p256", at=now - 500 * DAY, path_length=1)
    middle = root.create_intermediate("Middle CA", at=now - 400 * DAY)
    long = "a-rather-long-name-of-a-host.department.example.com"
    endless = "x" * 60 + ".example.com"
    good = middle.issue("www.example.com", "10.0.0.5", long, endless, key="ec-p256")
    soon = middle.issue("soon.example.com", key="ec-p256", at=now - 150 * DAY)
    over = middle.issue(endless, key="ec-p256", days=90, at=now - 140 * DAY)
    shown: dict[str, str] = {}

    def show(**more: object) -> None:
        for name, thing in more.items():
            shown[name] = cast("Any", thing)._repr_html_()

    show(certificate=good, chain=good.chain, expired=over, authority=middle, diff=good.diff(soon))
    show(revoked=middle.crl([(over, now, "keyCompromise"), soon]))
    show(report=good.check("www.example.com", trust=[root]), bad_report=over.check("else.example.com", trust=[root]))
    show(timeline=timeline([good, soon, over]), request=CertificateRequest.create("www.example.com", endless))
    show(pfx=explain_pfx(good.to_pfx("secret", readable_by="windows-11"), "secret"))
    show(right=KeyAccess(name="NT AUTHORITY\\NETWORK SERVICE", sid="S-1-5-20", right="read"))
    with testing.memory_machine() as machine:
        for certificate in (good, soon, over):
            machine.store("MY").add(certificate)
        show(store=machine.store("MY"), plan=deploy.plan("0.0.0.0:443", good, machine=machine))
        machine.store("Root").add(root.certificate)
        show(outcome=deploy("0.0.0.0:443", good, machine=machine), entry=machine.store("MY")[soon.thumbprint])
        machine.bindings.add("www.example.com:443", soon, options=BindingOptions(tls13=False, http2=False))
        machine.bindings.add(CcsPort(444))
        show(bindings=machine.bindings, audit=audit(machine=machine, unbound=True))
        show(another_plan=deploy.plan("0.0.0.0:443", soon, machine=machine, force=True))
        reserved = UrlReservation("https://+:443/a/rather/long/path/", user="NT SERVICE\\MLS", machine=machine).add()
        show(reservation=reserved, reservations=machine.reservations)
        show(machine=machine, binding=machine.bindings["www.example.com:443"])
        with machine.listen().start() as listener:
            address = f"127.0.0.1:{listener.port_of('0.0.0.0:443')}"
            show(endpoint=check_endpoint(address, host="10.0.0.5", trust=[root]))
        show(renewals=renew_due(middle, machine=machine), cleanup=cleanup(machine=machine))
    return shown


def notebook(cards: dict[str, str], **metadata: object) -> str:
    """A notebook whose cells have shown these cards, as JSON (nbformat 4.5)."""
    cells = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "source": name,
            "execution_count": number,
            "outputs": [
                {
                    "output_type": "execute_result",
                    "metadata": {},
                    "execution_count": number,
                    "data": {"text/html": card, "text/plain": name},
                }
            ],
        }
        for number, (name, card) in enumerate(cards.items(), 1)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}, **metadata}
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5})


class _Looks(html.parser.HTMLParser):
    """The `style` of each element, in the order of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name == "style"]


def looks(card: str) -> list[str]:
    """What stands at the elements of a card."""
    return [normal(one) for one in _Looks(card).found]


def normal(style: str) -> str:
    """A style, spelt in one way."""
    return ";".join(sorted("".join(one.split()) for one in style.split(";") if one.strip()))
