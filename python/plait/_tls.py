# mypy: disable-error-code="attr-defined"
"""TLS: what the native protocol (``event_loop/tls/``) borrows from asyncio, and where it plugs itself in.

``loop.start_tls`` is asyncio's own function, to which ``sslproto.SSLProtocol`` means the native class.
"""

import warnings
from asyncio import base_events, constants
from types import ModuleType, SimpleNamespace
from typing import Any

from plait._borrowed import with_names

# The native class, for the function below.
_protocol_class: Any = None


def connect(native: ModuleType) -> None:
    """Complete the native types. Called once, when the native module is initialised."""
    global _protocol_class
    _protocol_class = native.TlsProtocol
    native.EventLoop._make_ssl_transport = _make_ssl_transport
    native.EventLoop.start_tls = with_names(
        base_events.BaseEventLoop.start_tls, sslproto=SimpleNamespace(SSLProtocol=_protocol_class)
    )
    native.TlsProtocol.max_size = 256 * 1024
    native.TlsTransport._sendfile_compatible = constants._SendfileMode.FALLBACK
    for transport in (native.SocketTransport, native.TlsTransport):
        transport._start_tls_compatible = True


def _make_ssl_transport(
    self: Any,
    rawsock: Any,
    protocol: Any,
    sslcontext: Any,
    waiter: Any = None,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    extra: Any = None,
    server: Any = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    call_connection_made: bool = True,
) -> Any:
    """The application's transport of a TLS connection over the stream socket ``rawsock``.

    ``waiter`` is settled when the handshake has ended. The signature is that of asyncio's selector loop.
    """
    self._ensure_fd_no_transport(rawsock)
    tls = _protocol_class(
        self,
        protocol,
        sslcontext,
        waiter,
        server_side,
        server_hostname,
        call_connection_made=call_connection_made,
        ssl_handshake_timeout=ssl_handshake_timeout,
        ssl_shutdown_timeout=ssl_shutdown_timeout,
    )
    transport = tls._app_transport
    self._make_socket_transport(rawsock, tls, extra=extra, server=server)
    return transport


def accept_failed(loop: Any, protocol: Any, transport: Any, error: BaseException) -> None:
    """The handshake of an accepted connection failed: the words of asyncio's accepting task."""
    transport.close()
    if loop.get_debug():
        context = {
            "message": "Error on transport creation for incoming connection",
            "exception": error,
            "transport": transport,
        }
        if protocol is not None:
            context["protocol"] = protocol
        loop.call_exception_handler(context)


def warn_unclosed_transport(_warn: Any = warnings.warn) -> None:
    """Called by a finalizer, perhaps so late that this module has lost its names."""
    _warn("unclosed transport <asyncio._SSLProtocolTransport object>", ResourceWarning)
