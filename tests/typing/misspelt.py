"""What users misspell is an error to their type checker; an ignore that nothing needs is an error, too."""

from __future__ import annotations

import mlsssl
from mlsssl import Certficate as Wrong  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

mlsssl.deplyo(Wrong)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
