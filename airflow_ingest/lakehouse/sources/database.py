"""A database: where it is, how to log in, and how its SQL writes names. Its secrets are shown nowhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote as url_quote

_QUOTES = {"mysql": ("`", "`"), "mariadb": ("`", "`"), "sqlserver": ("[", "]")}
_HIDDEN = "***"
_SECRET_NAMES = re.compile(r"(?i)(password|passwd|pwd|secret|token)=([^&;]+)")


@dataclass(frozen=True)
class Database:
    """A database that Spark reaches by JDBC.

    - `name`: what people call it, the Airflow connection
    - `url`: JDBC's; it may hold secrets
    - `properties`: what the driver is told besides, `user` and `password` among them
    - `driver`: the driver's class, which Spark has on its class path
    """

    name: str
    url: str = field(repr=False)
    properties: Mapping[str, str] = field(repr=False)
    driver: str

    @property
    def address(self) -> str:
        """The URL without parameters and login: safe to show."""
        return re.sub(r"//[^/@]*@", "//", re.split(r"[?;]", self.url, maxsplit=1)[0])

    @property
    def options(self) -> dict[str, str]:
        """What Spark's reader has to know of the database."""
        return {**self.properties, "url": self.url, "driver": self.driver}

    def quote(self, name: str) -> str:
        """`name` as one identifier of the database's SQL."""
        kind = self.url.removeprefix("jdbc:").split(":", 1)[0]
        left, right = _QUOTES.get(kind, ('"', '"'))
        return left + name.replace(right, right * 2) + right

    def scrubbed(self, text: str) -> str:
        """`text` without this database's secrets."""
        secrets = [value for key, value in self.properties.items() if "password" in key.lower()]
        secrets += [found for _, found in _SECRET_NAMES.findall(self.url)]
        secrets += re.findall(r"//[^/@:]*:([^/@]*)@", self.url)
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            for form in (secret, url_quote(secret, safe="")):
                text = text.replace(form, _HIDDEN)
        return text
