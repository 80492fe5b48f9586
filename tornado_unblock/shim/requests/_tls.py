"""TLS contexts for what requests calls `verify` and `cert`.

# Threads: loop threads; what is kept is immutable once it is made.
# Guarantees: a context is made once for the same files, on a worker, since reading
# a bundle of certificates takes tens of milliseconds.
"""

from __future__ import annotations

import functools
import os
import ssl
import warnings
from types import SimpleNamespace
from typing import Any, NamedTuple, Optional, Union

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util.ssl_ import create_urllib3_context

from tornado_unblock.shim._crossing.wait import call

Verify = Union[bool, str, None]
Cert = Union[str, tuple[str, str], None]

# Asked for its rules only: it never connects.
_rules: Any = HTTPAdapter()


class _Files(NamedTuple):
    """What a context is made of, and when it was last changed."""

    bundle: Optional[str]
    directory: Optional[str]
    certificate: Optional[str]
    key: Optional[str]
    verified: bool
    changed: tuple[Optional[float], ...]


_contexts: dict[_Files, ssl.SSLContext] = {}


async def tls_context(
    request: requests.PreparedRequest, verify: Verify, cert: Cert
) -> Union[ssl.SSLContext, bool]:
    """Return what aiohttp wants as ``ssl``; loop thread.

    Raises:
        OSError: A file or directory that was named does not exist.
    """
    url = request.url or ""
    if not url.lower().startswith("https"):
        return True
    if not verify:
        warnings.warn(
            "This HTTPS request goes to a server whose certificate is not verified "
            "(verify=False)",
            InsecureRequestWarning,
            stacklevel=2,
        )
    files = _files(url, verify, cert)
    if files not in _contexts:
        made: ssl.SSLContext = await call(functools.partial(_make, files))
        return _contexts.setdefault(files, made)
    return _contexts[files]


def _files(url: str, verify: Verify, cert: Cert) -> _Files:
    chosen: Any = SimpleNamespace(ca_certs=None, ca_cert_dir=None)
    chosen.cert_file = chosen.key_file = None
    _rules.cert_verify(chosen, url, verify, cert)
    paths = chosen.ca_certs, chosen.ca_cert_dir, chosen.cert_file, chosen.key_file
    changed = tuple(os.stat(path).st_mtime if path else None for path in paths)
    return _Files(*paths, bool(verify), changed)


def _make(files: _Files) -> ssl.SSLContext:
    required = ssl.CERT_REQUIRED if files.verified else ssl.CERT_NONE
    context = create_urllib3_context(cert_reqs=required)
    context.check_hostname = files.verified
    if files.verified:
        context.load_verify_locations(files.bundle, files.directory)
    if files.certificate:
        context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["http/1.1"])
    return context
