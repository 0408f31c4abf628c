from __future__ import annotations


class ParleyError(Exception):
    """A message or a connection that is given up for good; or, where ``on_problem`` is told of it, a problem that is not.

    ``code`` is a final code of the gateway's, or one of ``invalid_option``, ``invalid_message``, ``frame_too_large``,
    ``buffer_full``, ``closed``, ``connect_timeout``, ``handshake_refused`` and ``connection_refused`` (``detail`` holds the
    gateway's code), ``token_expired``, ``not_acked_in_time``; of a problem ``connection_lost``, ``token_unavailable`` or
    ``listener_failed``.
    """

    def __init__(self, code: str, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.detail = detail


def text_of(error: BaseException) -> str:
    """The text of anything that was raised, also where it has none."""
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__
