"""What is asked of the fault port, checked: documents (plain JSON) → values, or a sentence that says what is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from dkv.errors import BadRequest

T = TypeVar("T")


def understood(document: Any, kind: type[T]) -> T:
    """``document`` as a ``kind``. Raises ``BadRequest``; nothing was changed then."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{error}. No fault was changed.") from None
