"""The address of a database that shows a search; its password is kept in memory alone.

What a configuration holds goes into the run directory. So an address is stored without its
password, and a process that was given one remembers it. Another process (``resume``, ``work``) has
what the database's own client knows: ``PGPASSWORD`` or ``~/.pgpass`` of PostgreSQL.
"""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from trimtab.core.errors import ConfigError
from trimtab.core.secrets import remember

DIALECTS = ("sqlite", "postgresql", "mysql")
_SECRET = ("password", "passwd", "pwd", "sslpassword")

_full: dict[str, str] = {}


def address(url: str) -> str:
    """Return an address of a database without its password, which is remembered.

    A relative path of SQLite is made absolute: a run may be resumed from elsewhere.

    Raises:
        ConfigError: It is none; the message does not repeat it.
    """
    scheme, found, _ = url.partition("://")
    if not found or scheme.split("+")[0] not in DIALECTS:
        raise ConfigError(
            "storage must be the address of a database.",
            hint="For example sqlite:///study.db, or postgresql://host/name.",
        )
    if scheme.startswith("sqlite"):
        start = f"{scheme}:///"
        return f"{start}{os.path.abspath(url.removeprefix(start))}" if url != start else url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    asked = parse_qsl(parts.query, keep_blank_values=True)
    secrets = [password, unquote(password), *(v for k, v in asked if k.lower() in _SECRET)]
    if not any(secrets):
        return url
    for secret in filter(None, secrets):
        remember(secret)
    query = urlencode([(key, value) for key, value in asked if key.lower() not in _SECRET])
    bare = f"{scheme}://{name}@{host}" if name else f"{scheme}://{host}"
    bare += f"{parts.path}?{query}" if query else parts.path
    _full[bare] = url
    return bare


def full_address(bare: str) -> str:
    """Return an address with its password, where this process was given it."""
    return _full.get(bare, bare)
