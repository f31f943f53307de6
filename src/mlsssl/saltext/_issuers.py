"""Issuers by name: what `mlsssl:issuers:NAME` of a minion's pillar or configuration describes."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._commands.issuers import ISSUER_ARGUMENTS, issuer_of
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from mlsssl.saltext._settings import Surroundings


def issuer_named(name: str, around: Surroundings, machine: str | None) -> mlsssl.Issuer:
    """The issuer of this name. Its settings are the options of `mlsssl renew`, with `_` in them: `acme_webroot`.

    Raises:
        NotFoundError: there are no such settings.
        InvalidInputError, MlssslError: as what makes the issuer.
    """
    settings = around.named("issuers", name)
    unknown = sorted(set(settings) - set(ISSUER_ARGUMENTS))
    if unknown:
        raise InvalidInputError(
            f"the issuer {shown(name)} has settings that are none: {', '.join(map(shown, unknown))}"
        )
    if settings.get("ca") is not None:
        password = around.secret(settings.get("ca_password"), f"the password of the issuer {name}")
        return mlsssl.CertificateAuthority.load(
            settings["ca"], password=password, key=settings.get("ca_key"), alias=settings.get("ca_alias")
        )
    given: dict[str, Any] = {**dict.fromkeys(ISSUER_ARGUMENTS), **settings, "machine": machine}
    issuer = issuer_of(Namespace(**given))
    if issuer is None:
        raise InvalidInputError(f"the issuer {shown(name)} has none of the settings that choose one: ca, acme, adcs …")
    return issuer
