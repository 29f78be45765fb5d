"""The `RemoteMonitor` callback."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from typing import Any

from stroma.core.errors import ArgumentError
from stroma.training.callbacks import Callback

_SECONDS = 10  # a server that does not answer must not stop the training


class RemoteMonitor(Callback):
    """Send each epoch's figures to a server: to make this callback is to ask for it.

    Args:
        root: Address of the server.
        path: Path under it that is posted to.
        field: Name of the form field that holds the figures as JSON.
        headers: HTTP headers to send along.
        send_as_json: Send the figures as a JSON body instead of a form.

    Raises: ArgumentError: the address is not one of HTTP.
    Example:
        >>> RemoteMonitor("http://localhost:8080").path
        '/publish/epoch/end/'

    A server that cannot be reached is warned of; training goes on.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        if urllib.parse.urlsplit(root).scheme not in ("http", "https"):
            raise ArgumentError(
                f"RemoteMonitor: {root!r} is not the address of a server",
                where="RemoteMonitor(root=...)",
                why="figures are posted by HTTP",
                fix='root="http://localhost:9000"',
            )
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        figures = json.dumps({"epoch": epoch, **dict(logs or {})})
        headers = dict(self.headers or {})
        if self.send_as_json:
            body = figures
            headers.setdefault("Content-Type", "application/json")
        else:
            body = urllib.parse.urlencode({self.field: figures})
        request = urllib.request.Request(self.root + self.path, body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):
                pass
        except (urllib.error.URLError, TimeoutError) as error:
            warnings.warn(
                f"RemoteMonitor: {self.root} was not reached ({error}); training goes on",
                stacklevel=2,
            )
