"""What every machine's service manager does alike (`ServicesPort`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlsssl._machine.ports import ServiceState
from mlsssl.errors import InvalidInputError, ServiceNotFoundError

if TYPE_CHECKING:
    from contract.subjects.kinds import ServicesSubject


def test_a_service_starts_and_stops(services_subject: ServicesSubject) -> None:
    """Asked for a state it gets there; asked again it says that it was there."""
    services, name = services_subject.services, services_subject.stopped
    assert services.query(name).state is ServiceState.STOPPED
    assert services.request_stop(name) is False
    assert services.request_start(name) is True
    services_subject.settle(name)
    status = services.query(name)
    assert status.state is ServiceState.RUNNING
    assert status.accepts_stop
    assert services.request_start(name) is False
    assert services.request_stop(name) is True
    services_subject.settle(name)
    assert services.query(name).state is ServiceState.STOPPED


def test_names_compare_without_case(services_subject: ServicesSubject) -> None:
    """As in the registry."""
    assert services_subject.services.query(services_subject.stopped.swapcase()).state is ServiceState.STOPPED


def test_a_service_alone_has_no_dependents(services_subject: ServicesSubject) -> None:
    """An empty answer, not an error."""
    assert services_subject.services.active_dependents(services_subject.stopped) == ()


def test_an_unknown_service_is_not_found(services_subject: ServicesSubject) -> None:
    """1060, whatever is asked of it; the error names the service."""
    services, name = services_subject.services, "mlsssl-no-such-service"
    for ask in (services.query, services.active_dependents, services.request_start, services.request_stop):
        with pytest.raises(ServiceNotFoundError, match=name) as caught:
            ask(name)
        assert caught.value.service == name


def test_a_name_that_cannot_be_one_is_refused(services_subject: ServicesSubject) -> None:
    """123 for a slash; nothing and a NUL never reach Windows."""
    for name in ("a/b", "", "a\0b"):
        with pytest.raises(InvalidInputError):
            services_subject.services.query(name)


@pytest.mark.parametrize("name", ["HTTP", "http", " Http "])
def test_the_http_driver_is_refused(services_subject: ServicesSubject, name: str) -> None:
    """It would take every web server of the machine down."""
    with pytest.raises(InvalidInputError, match="HTTP driver"):
        services_subject.services.request_stop(name)
    with pytest.raises(InvalidInputError, match="HTTP driver"):
        services_subject.services.request_start(name)
