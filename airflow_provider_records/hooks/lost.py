"""Why a request got no answer, and whether it can have reached the system."""

from __future__ import annotations

import urllib3

_CAUSES = (
    (urllib3.exceptions.NameResolutionError, "the host name is unknown; check the host field"),
    (urllib3.exceptions.NewConnectionError, "nobody listens there; check host and port, and firewalls"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection within the timeout; check host and port, and firewalls"),
    (urllib3.exceptions.ReadTimeoutError, "no answer within the timeout"),
)


def _reason(error: Exception) -> object:
    """Return what made urllib3 give up."""
    return getattr(error, "reason", error)


def cause(error: Exception) -> str:
    """Say in words why no answer came, and what to check."""
    reason = _reason(error)
    if isinstance(reason, urllib3.exceptions.SSLError):
        if "CERTIFICATE_VERIFY_FAILED" in str(reason):
            return "its TLS certificate is not trusted; name the file of your CA in verify_tls, and check the host name"
        return "TLS failed; check http or https in the host field, the port, and verify_tls"
    words = next((text for kind, text in _CAUSES if isinstance(reason, kind)), None)
    return words or type(reason if isinstance(reason, Exception) else error).__name__


def never_left(error: Exception) -> bool:
    """Tell whether the request certainly did not reach the system."""
    reason = _reason(error)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        # urllib3 also says so when the answer was lost on the way back through the proxy
        reason = reason.original_error
        if type(reason) is OSError and str(reason).startswith("Tunnel connection failed"):
            return True
    if isinstance(reason, urllib3.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(reason)
    return isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))
