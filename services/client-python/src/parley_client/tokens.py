from __future__ import annotations

import asyncio
import inspect
import re
from typing import Awaitable, Callable, Union

from .errors import ParleyError, text_of

TokenProvider = Callable[[], Union[str, Awaitable[str]]]
_TIMEOUT_S = 30.0


def clean(value: object) -> str:
    """A token as a header can carry it, without the line end that a file mostly has. The error never holds it."""
    token = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"[\x21-\x7e]+", token):
        return token
    what = "is no string" if not isinstance(value, str) else "is empty, or has characters that no header can carry"
    raise ParleyError("token_unavailable", f"the token {what}")


async def ask(provider: TokenProvider) -> str:
    """Waits no longer than half a minute: a provider that hangs must not end reconnecting."""
    try:
        answer = provider()
        if inspect.isawaitable(answer):
            answer = await asyncio.wait_for(answer, _TIMEOUT_S)
        return clean(answer)
    except ParleyError:
        raise
    except Exception as error:
        raise ParleyError("token_unavailable", f"no token: {text_of(error)}") from error
