"""A bot's connection to Parley: over a WebSocket (asyncio, or blocking), or in batches over HTTP."""

from .blocking import BlockingClient
from .client import ParleyClient
from .counters import Counters
from .errors import ParleyError
from .http import HttpClient
from .types import Insight, Message

__all__ = ["BlockingClient", "Counters", "HttpClient", "Insight", "Message", "ParleyClient", "ParleyError"]
