"""Address: where a server is, read from a spec's `base_url` by the only parser that archc has for it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PATH = re.compile(r"[A-Za-z0-9/._~:@!$&'()*+,;=%-]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL, taken apart once; check and connection both use these parts, so they can't disagree."""

    scheme: str
    host: str
    """In lower case, an IPv6 address without brackets."""
    port: int
    path: str
    """Without the slash at its end; empty for the root."""

    @classmethod
    def parse(cls, url: str) -> Address:
        """Reads `http(s)://host[:port][/path]` and nothing else. Raises `ValueError` with what is wrong."""
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise ValueError("an address has no spaces, backslashes, control or non-ASCII characters")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("an address starts with http:// or https://")
        if "@" in parts.netloc:
            raise ValueError("an address has no user name or password; bind a key with `archc keys bind`")
        if "?" in url or "#" in url:
            raise ValueError("an address has no query and no fragment")
        if not _PATH.fullmatch(parts.path):
            raise ValueError("the address has characters that no path has")
        port = parts.port
        if port is None:
            port = 443 if parts.scheme == "https" else 80
        return cls(parts.scheme, _host(parts.hostname or "", "[" in parts.netloc), port, parts.path.rstrip("/"))

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine: 127.0.0.0/8, ::1 or `localhost`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def place(self) -> str:
        """What a key is bound to: the host, with `http://` before it if the way there is not encrypted."""
        return self.host if self.scheme == "https" or self.is_loopback else f"http://{self.host}"

    @property
    def authority(self) -> str:
        """Host and port, as in an address and in a request's `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def _host(text: str, is_bracketed: bool) -> str:
    host = text.lower()
    if is_bracketed and "%" not in host:
        return str(ipaddress.IPv6Address(host))
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise ValueError(f"`{host}` is not a host name")
    return host
