"""Answer requests for a URL prefix through HTTP.sys, beside the other programs that it serves on the port.

The HTTP Server API, version 2 (learn.microsoft.com/windows/win32/http/http-server-api-version-2-0-functions). HTTP.sys
gives a request to whoever registered the longest prefix of its path: the strong wildcard `+` is looked at before host
names and `*`, so a site of IIS on the same port keeps everything but this prefix. A registration ends with the handles
behind it, so also when the process is killed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from mlsssl._native.cdata import NULL, Buffer, ffi, wide
from mlsssl._native.codes import is_access_denied, native_error
from mlsssl.errors import AccessDeniedError, ListenerError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import RequestDlls

    Answer = Callable[[str], bytes | None]

# http.h
_HTTP_INITIALIZE_SERVER = 1
_BINDING_PROPERTY = 7  # HttpServerBindingProperty
_VERB_GET = 4  # HttpVerbGET
_CONTENT_TYPE = 12  # HttpHeaderContentType
_RESPONSE_FLAG_DISCONNECT = 1
# winerror.h, winbase.h
_SHARING_VIOLATION, _ALREADY_EXISTS, _MORE_DATA = 32, 183, 234
_IO_PENDING, _CONNECTION_INVALID = 997, 1229
_INFINITE = 0xFFFF_FFFF

# HTTP.sys takes 16 KiB of request line and headers by default (MaxRequestBytes); with the structures about them.
_REQUEST_SIZE = 65536

_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found"}


class PrefixListener:
    """Answers GET requests below a URL prefix from a thread of its own, from its making until `close`.

    Everything else gets 404: another method, and a path that `answer` does not know. One request is answered after the
    other; the answers are small, and HTTP.sys queues what comes meanwhile.

    Args:
        dlls: Windows, or fakes.
        prefix: As HTTP.sys writes them, with a final slash: `http://+:80/.well-known/acme-challenge/`.
        answer: The path of a request without the query, as HTTP.sys normalised it, to the body; None is 404. It is
            called in the listener's thread and must not raise.
        timeout: Seconds to wait for another program that has the prefix: another run of this one, perhaps.

    Raises:
        AccessDeniedError: neither an administrator, nor is the prefix reserved for this user.
        ListenerError: another program listens for the prefix (183), or on the port without HTTP.sys (32).
        NativeError: another call failed.
    """

    def __init__(self, dlls: RequestDlls, prefix: str, answer: Answer, *, timeout: float = 0) -> None:
        self._dlls = dlls
        self._prefix = prefix
        self._answer = answer
        self._closing = threading.Event()
        self.failure: MlssslError | None = None
        """Why the thread ended by itself; None while it runs and after an ordinary `close`."""
        with contextlib.ExitStack() as stack:
            self._queue = self._register(stack, time.monotonic() + timeout)
            self._arrived = self._event(stack)
            self._stop = self._event(stack)
            self._thread = threading.Thread(target=self._serve, name=f"mlsssl {prefix}", daemon=True)
            self._thread.start()
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and take the prefix back; idempotent. What is being answered is let go of."""
        self._closing.set()
        if self._thread.is_alive():
            self._dlls.kernel32.SetEvent(self._stop)
            self._thread.join()
        self._stack.close()

    # ---- handles ----

    def _register(self, stack: contextlib.ExitStack, deadline: float) -> CData:
        """The queue that the requests come to; what is made is unmade by `stack`, the registration first."""
        api = self._dlls.httpapi_requests
        version = ffi.new("HTTPAPI_VERSION *", (2, 0))[0]
        session, group = ffi.new("ULONGLONG *"), ffi.new("ULONGLONG *")
        queue = ffi.new("void **")
        self._check("HttpInitialize", api.HttpInitialize(version, _HTTP_INITIALIZE_SERVER, NULL))
        stack.callback(api.HttpTerminate, _HTTP_INITIALIZE_SERVER, NULL)
        self._check("HttpCreateServerSession", api.HttpCreateServerSession(version, session, 0))
        stack.callback(api.HttpCloseServerSession, session[0])
        self._check("HttpCreateRequestQueue", api.HttpCreateRequestQueue(version, NULL, NULL, 0, queue))
        stack.callback(api.HttpCloseRequestQueue, queue[0])
        self._check("HttpCreateUrlGroup", api.HttpCreateUrlGroup(session[0], group, 0))
        stack.callback(api.HttpCloseUrlGroup, group[0])
        binding = ffi.new("HTTP_BINDING_INFO *", {"Flags": 1, "RequestQueueHandle": queue[0]})
        size = ffi.sizeof("HTTP_BINDING_INFO")
        self._check("HttpSetUrlGroupProperty", api.HttpSetUrlGroupProperty(group[0], _BINDING_PROPERTY, binding, size))
        name = wide(self._prefix)
        while (code := api.HttpAddUrlToUrlGroup(group[0], name, 0, 0)) == _ALREADY_EXISTS:
            if time.monotonic() >= deadline:
                break
            time.sleep(0.1)
        self._check("HttpAddUrlToUrlGroup", code)
        # Explicitly, though the group's end does it: Wine's would keep the prefix until the process ends.
        stack.callback(api.HttpRemoveUrlFromUrlGroup, group[0], name, 0)
        return queue[0]  # type: ignore[no-any-return]  # what is behind a pointer has no type

    def _event(self, stack: contextlib.ExitStack) -> CData:
        event = self._dlls.kernel32.CreateEventW(NULL, 1, 0, NULL)
        if not event:
            raise native_error("CreateEventW", self._dlls.last_error())
        stack.callback(self._dlls.kernel32.CloseHandle, event)
        return event

    def _check(self, function: str, code: int) -> None:
        if code:
            raise self._failure(function, code)

    def _failure(self, function: str, code: int) -> MlssslError:
        cause = native_error(function, code, f"for {self._prefix}")
        error: MlssslError = cause
        if is_access_denied(code):
            error = AccessDeniedError(
                f"only an administrator may listen for {self._prefix}: run it in an elevated process (Run as "
                "administrator), or let an administrator reserve the prefix for this user once: netsh http add urlacl "
                rf"url={self._prefix} user=DOMAIN\USER",
                right="administrator",
            )
        elif code == _ALREADY_EXISTS:
            error = ListenerError(
                f"another program listens for {self._prefix} already, perhaps another run of this one or another ACME "
                "client; netsh http show servicestate view=requestq says which: end it, or wait until it is done"
            )
        elif code == _SHARING_VIOLATION:
            port = self._prefix.split("/")[2].rpartition(":")[2]
            error = ListenerError(
                f"a program that does not listen through HTTP.sys has port {port}, such as Apache or nginx; netstat -a "
                "-b -n -o says which: let that program serve the answers from a folder instead (WebrootChallenge)"
            )
        if error is not cause:
            error.__cause__ = cause
        return error

    # ---- the thread ----

    def _serve(self) -> None:
        try:
            while not self._closing.is_set() and self._serve_one():
                pass
        except MlssslError as error:
            self.failure = error

    def _serve_one(self) -> bool:
        """Wait for a request and answer it; False when the listener is to end."""
        api = self._dlls.httpapi_requests
        buffer = Buffer("HttpReceiveHttpRequest", _REQUEST_SIZE)
        request = buffer.view("HTTP_REQUEST_V1")
        code = self._finish(
            lambda overlapped: api.HttpReceiveHttpRequest(self._queue, 0, 0, request, buffer.size, NULL, overlapped)
        )
        if code is None:
            return False
        if code == _CONNECTION_INVALID:  # the client went away between its request and our reading it
            return True
        if code == _MORE_DATA:  # headers that HTTP.sys itself was told to take; the id is there, the rest is not
            return self._send(request.RequestId, 400, b"")
        self._check("HttpReceiveHttpRequest", code)
        body = self._answer(_path(buffer, request)) if request.Verb == _VERB_GET else None
        return self._send(request.RequestId, 404, b"") if body is None else self._send(request.RequestId, 200, body)

    def _send(self, request_id: int, status: int, body: bytes) -> bool:
        api = self._dlls.httpapi_requests
        reason, kind = ffi.new("char[]", _REASONS[status]), ffi.new("char[]", b"application/octet-stream")
        content = ffi.new("char[]", body)
        chunk, response = ffi.new("HTTP_DATA_CHUNK *"), ffi.new("HTTP_RESPONSE *")
        chunk.FromMemory.pBuffer, chunk.FromMemory.BufferLength = content, len(body)  # HttpDataChunkFromMemory is 0
        response.Version.MajorVersion = response.Version.MinorVersion = 1
        response.StatusCode, response.pReason, response.ReasonLength = status, reason, len(_REASONS[status])
        if body:
            response.EntityChunkCount, response.pEntityChunks = 1, chunk
            header = response.Headers.KnownHeaders[_CONTENT_TYPE]  # RFC 8555, 8.3
            header.pRawValue, header.RawValueLength = kind, len(kind) - 1
        flags = _RESPONSE_FLAG_DISCONNECT if status == 400 else 0
        code = self._finish(
            lambda overlapped: api.HttpSendHttpResponse(
                self._queue, request_id, flags, response, NULL, NULL, NULL, 0, overlapped, NULL
            )
        )
        # What a client does that went away, or waits too long, is its own affair: the next one is served.
        return code is not None

    def _finish(self, begin: Callable[[CData], int]) -> int | None:
        """The code of a call that goes on in the background, once it has ended; None when the listener is to end.

        What the call was given stays alive until then: it is ended before this returns, whatever happens.
        """
        kernel = self._dlls.kernel32
        overlapped = ffi.new("OVERLAPPED *", {"hEvent": self._arrived})
        code = begin(overlapped)
        if code != _IO_PENDING:
            return code
        handles = ffi.new("void *[]", [self._arrived, self._stop])
        signalled = kernel.WaitForMultipleObjects(
            2, handles, 0, _INFINITE
        )  # WAIT_OBJECT_0 and the index, or WAIT_FAILED
        failed = self._dlls.last_error() if signalled not in (0, 1) else 0
        if signalled != 0:
            kernel.CancelIoEx(self._queue, overlapped)
        done = kernel.GetOverlappedResult(self._queue, overlapped, ffi.new("DWORD *"), 1)
        code = 0 if done else self._dlls.last_error()
        if signalled not in (0, 1):
            raise native_error("WaitForMultipleObjects", failed)
        return None if signalled == 1 else code


def _path(buffer: Buffer, request: CData) -> str:
    url = request.CookedUrl
    return buffer.bytes_at(url.pAbsPath, url.AbsPathLength).decode("utf-16-le", "surrogatepass")
