"""The account at a directory: its key is made once and kept; a killed registration finds the same account again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsssl._formats import keys
from mlsssl._formats.key_files import load_private_key
from mlsssl._issue.keys import make_key
from mlsssl.errors import IssuerError, MalformedDataError

if TYPE_CHECKING:
    from mlsssl._formats.keys import PrivateKey
    from mlsssl.issuers._acme.client import Client
    from mlsssl.issuers._acme.state import State

_NAME = "account"


def account_key(state: State, *, timeout: float) -> PrivateKey:
    """The account's key, made and kept before anybody hears of it.

    Raises:
        TimeoutError: another process has held the account for `timeout` seconds.
        MalformedDataError: the file is damaged.
    """
    with state.locked(_NAME, timeout=timeout):
        record = state.read(_NAME)
        if "key" not in record:
            # P-256: every server has to take its signatures (RFC 8555 section 6.2).
            made = make_key("ec-p256")
            state.write(_NAME, {"key": keys.private_key_pem(made, None).decode("ascii")})
            return made
        text = record["key"]
        if not isinstance(text, str):
            raise MalformedDataError(f"{state.folder} holds no account key; put account.json back from a backup")
        return load_private_key(text.encode("utf-8", "replace"), None)


def register(
    state: State,
    client: Client,
    *,
    contact: tuple[str, ...],
    external: tuple[str, str] | None,
    agree_terms: bool,
    anew: bool,
    timeout: float,
) -> None:
    """Have the client sign as the account, which is made when there is none.

    Args:
        state: Where it is kept.
        client: With the account's key.
        contact: Addresses to tell the server, `mailto:…`.
        external: Key identifier and HMAC key of an external account.
        agree_terms: Whether the user agrees to the terms of service.
        anew: Whether the server has said that it does not know the account that is kept.
        timeout: Seconds to wait for another process.

    Raises:
        IssuerError: the server wants what was not given; the message says what.
        Problem, Unreachable, OutOfTime: as `Client.post`.
        TimeoutError: another process has held the account for `timeout` seconds.
    """
    with state.locked(_NAME, timeout=timeout):
        record = state.read(_NAME)
        known = record.get("url")
        if isinstance(known, str) and not anew:
            client.account = known
            return
        terms = client.meta("termsOfService")
        if isinstance(terms, str) and not agree_terms:
            raise IssuerError(
                f"{client.directory} has terms of service, {terms}; read them, and agree to them: "
                "AcmeIssuer(agree_terms=True)",
                issuer=client.directory,
            )
        if client.meta("externalAccountRequired") is True and external is None:
            raise IssuerError(
                f"{client.directory} takes only accounts that it knows already: give the key identifier and the HMAC "
                "key that it has for you: AcmeIssuer(external_account=(identifier, key))",
                issuer=client.directory,
            )
        payload: dict[str, Any] = {"termsOfServiceAgreed": True} if agree_terms else {}
        if contact:
            payload["contact"] = list(contact)
        client.account = client.register(payload, external).location
        state.write(_NAME, {**record, "url": client.account})
