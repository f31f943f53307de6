"""What users misspell is an error to their type checker; an ignore that nothing needs is an error, too."""

from __future__ import annotations

import mlsssl
from mlsssl import Certficate as Wrong  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]
from mlsssl.hooks.command import CommandHook
from mlsssl.hooks.files import PemFiles

ca = mlsssl.CertificateAuthority.create("Test CA")
ca.certificate.check(client="python-3.31")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mlsssl.PROFILES["private"].for_client("chorme")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mlsssl.renew("0.0.0.0:443", ca, key_access={"NETWORK SERVICE"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mlsssl.Store.open().grant_key_access("00", 20)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

mlsssl.deplyo(Wrong)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]

PemFiles("/etc/nginx/tls", "ngnix")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
CommandHook(["reload"], timout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
mlsssl.renew("0.0.0.0:443", ca, hooks=[CommandHook(["reload"])], after_failure="undone")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
mlsssl.renew("0.0.0.0:443", ca, hooks=CommandHook(["reload"]))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
