"""A fake of the server half of httpapi.dll, and of the events of kernel32.dll: programs that share ports.

Calls end in the background, as Windows' do: a receive is pending until a request comes, a send is done at once.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsssl._fakes.calls import Calls, Fake, Misuse, returns_bool, returns_code, returns_handle
from mlsssl._fakes.crypt32 import text_of
from mlsssl._fakes.key_handles import Handles
from mlsssl._native.cdata import NULL, address_of, ffi

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._native.cdata import CData

SUCCESS, ACCESS_DENIED, INVALID_HANDLE, SHARING_VIOLATION, INVALID_PARAMETER = 0, 5, 6, 32, 87
ALREADY_EXISTS, MORE_DATA, OPERATION_ABORTED, IO_PENDING = 183, 234, 995, 997
NOT_FOUND, CONNECTION_INVALID = 1168, 1229

VERBS = {"GET": 4, "HEAD": 5, "POST": 6}
PATIENCE = 30.0
"""Seconds after which a fake client, or a wait in the background, gives up: a test that hangs fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeResponse:
    """What a client got."""

    status: int
    body: bytes = b""
    content_type: str = ""


@dataclass(eq=False, kw_only=True)
class FakeRequest:
    """A client's request on its way.

    Attributes:
        number: HTTP_REQUEST_ID.
        method: GET and so on.
        path: Without the query, as HTTP.sys normalised it.
        query: With its question mark, or empty.
        headers: Bytes that its headers take.
    """

    number: int
    method: str
    path: str
    query: str = ""
    headers: int = 0
    response: FakeResponse | None = None
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False, kw_only=True)
class Operation:
    """A call that goes on in the background; `code` is None until it has ended."""

    event: threading.Event
    request_buffer: CData | None = None
    room: int = 0
    code: int | None = None

    def end(self, code: int) -> None:
        """It is over."""
        self.code = code
        self.event.set()


@dataclass(eq=False)
class FakeQueue:
    """A request queue: requests that nobody has received, and receives that have no request."""

    requests: deque[FakeRequest] = field(default_factory=deque)
    receives: list[Operation] = field(default_factory=list)


@dataclass(eq=False)
class FakeGroup:
    """A URL group of a session."""

    session: int
    queue: FakeQueue | None = None


class FakeHttpDriver:
    """HTTP.sys of one computer: who has registered what. Programs are `FakeHttpRequests`, or `add_site`.

    Args:
        administrator: False answers 5 to a prefix that is not in `reserved`.
        reserved: Prefixes that this user may register without being an administrator.
        taken_ports: Ports that a program has without HTTP.sys.
    """

    def __init__(
        self,
        *,
        administrator: bool = True,
        reserved: frozenset[str] = frozenset(),
        taken_ports: frozenset[int] = frozenset(),
    ) -> None:
        self.lock = threading.RLock()
        self.administrator = administrator
        self.reserved = reserved
        self.taken_ports = taken_ports
        self.registered: dict[str, FakeGroup | Callable[[str], FakeResponse]] = {}
        self.pending: dict[int, FakeRequest] = {}
        self._numbers = 0

    def add_site(self, prefix: str, answer: Callable[[str], FakeResponse]) -> None:
        """Another program that answers below a prefix, by the path."""
        self.registered[prefix] = answer

    def register(self, prefix: str, group: FakeGroup) -> int:
        """HTTP.sys' answer to a registration."""
        if not prefix.startswith("http://") or not prefix.endswith("/"):
            return INVALID_PARAMETER
        with self.lock:
            if int(prefix.split("/")[2].rpartition(":")[2]) in self.taken_ports:
                return SHARING_VIOLATION
            if not self.administrator and prefix not in self.reserved:
                return ACCESS_DENIED
            if prefix in self.registered:
                return ALREADY_EXISTS
            self.registered[prefix] = group
            return SUCCESS

    def request(
        self, path: str, *, port: int = 80, method: str = "GET", headers: int = 0, patience: float = PATIENCE
    ) -> FakeResponse | None:
        """A client's request, until it is answered; None when nobody has a prefix of it (HTTP.sys says 404)."""
        plain, mark, query = path.partition("?")
        with self.lock:
            places = {prefix: prefix.split("/", 3)[3] for prefix in self.registered if f":{port}/" in prefix}
            fitting = [prefix for prefix, below in places.items() if f"{plain}/".startswith(f"/{below}")]
            if not fitting:
                return None
            receiver = self.registered[max(fitting, key=len)]
            if not isinstance(receiver, FakeGroup):
                return receiver(plain)
            if receiver.queue is None:
                return FakeResponse(status=503)
            self._numbers += 1
            sent = FakeRequest(number=self._numbers, method=method, path=plain, query=mark + query, headers=headers)
            self.pending[sent.number] = sent
            receiver.queue.requests.append(sent)
            self.deliver(receiver.queue)
        if not sent.done.wait(patience):
            raise AssertionError(f"{method} {path} was not answered")
        return sent.response

    def deliver(self, queue: FakeQueue) -> None:
        """Bring waiting requests and waiting receives together."""
        while queue.requests and queue.receives:
            operation, request = queue.receives.pop(0), queue.requests.popleft()
            operation.end(_write_request(request, operation))


class FakeBackground:
    """The events and background calls of one process: what httpapi.dll and kernel32.dll share."""

    def __init__(self, calls: Calls) -> None:
        self.events: Handles[threading.Event] = Handles(calls, "void *", "event", 0x60000)
        self.operations: dict[int, Operation] = {}

    def begin(self, overlapped: CData) -> Operation:
        """What an OVERLAPPED now stands for."""
        event = self.events.get(overlapped.hEvent)
        event.clear()
        operation = self.operations[address_of(overlapped)] = Operation(event=event)
        return operation


class FakeKernel32(Fake):
    """The events of kernel32.dll (`mlsssl._windows.dlls.Kernel32`)."""

    def __init__(self, calls: Calls, background: FakeBackground) -> None:
        super().__init__(calls)
        self._background = background

    @returns_handle
    def CreateEventW(self, attributes: CData, manual_reset: int, initial_state: int, name: CData, /) -> CData | int:
        """Manual reset only: what an OVERLAPPED needs."""
        if attributes != NULL or name != NULL or not manual_reset or initial_state:
            raise Misuse("an event of this process that is reset by calls in the background")
        return self._background.events.open(threading.Event())

    @returns_bool
    def SetEvent(self, event: CData, /) -> int:
        """Signal."""
        self._background.events.get(event).set()
        return SUCCESS

    def CloseHandle(self, event: CData, /) -> int:
        """Closes in any case, also when made to fail."""
        code = self.calls.enter("CloseHandle")
        self._background.events.close(event)
        return 0 if code else 1

    def WaitForMultipleObjects(self, count: int, handles: CData, wait_all: int, milliseconds: int, /) -> int:
        """The first that is signalled."""
        if code := self.calls.enter("WaitForMultipleObjects"):
            self.calls.last_error = code
            return 0xFFFF_FFFF
        if wait_all or milliseconds != 0xFFFF_FFFF:
            raise Misuse("only waits for one of several, without an end, are imitated")
        events = [self._background.events.get(handles[index]) for index in range(count)]
        for _ in range(int(PATIENCE / 0.002)):
            for index, event in enumerate(events):
                if event.is_set():
                    return index
            events[-1].wait(0.002)
        raise AssertionError("nothing happened while a thread waited")

    @returns_bool
    def CancelIoEx(self, _file: CData, overlapped: CData, /) -> int:
        """995 for a call that goes on."""
        operation = self._background.operations.get(address_of(overlapped))
        if operation is None or operation.code is not None:
            return NOT_FOUND
        operation.end(OPERATION_ABORTED)
        return SUCCESS

    @returns_bool
    def GetOverlappedResult(self, _file: CData, overlapped: CData, number: CData, wait: int, /) -> int:
        """The code of a call that has ended."""
        operation = self._background.operations.pop(address_of(overlapped), None)
        if operation is None or number == NULL or not wait:
            raise Misuse("nothing goes on under this OVERLAPPED")
        if not operation.event.wait(PATIENCE) or operation.code is None:
            raise AssertionError("a call in the background did not end")
        return operation.code


class FakeHttpRequests(Fake):
    """The server half of httpapi.dll (`mlsssl._windows.dlls.HttpRequestsApi`) in one process.

    Attributes:
        sent_late: Codes with which the next sends end, in order: clients that went away.
    """

    def __init__(self, calls: Calls, background: FakeBackground, driver: FakeHttpDriver) -> None:
        super().__init__(calls)
        self.driver = driver
        self.sent_late: list[int] = []
        self._background = background
        self._queues: Handles[FakeQueue] = Handles(calls, "void *", "request queue", 0x70000)
        self._sessions: Handles[None] = Handles(calls, "void *", "server session", 0x80000)
        self._groups: Handles[FakeGroup] = Handles(calls, "void *", "url group", 0x90000)

    def kill(self) -> None:
        """The process ends here: Windows closes its handles."""
        with self.driver.lock:
            mine = [self._groups.get(ffi.cast("void *", number)) for number in self._groups.numbers]
            for prefix, group in list(self.driver.registered.items()):
                if group in mine:
                    del self.driver.registered[prefix]

    @returns_code
    def HttpInitialize(self, Version: CData, Flags: int, pReserved: CData, /) -> int:
        """Version 2, as a server."""
        if (Version.HttpApiMajorVersion, Version.HttpApiMinorVersion) != (2, 0) or Flags != 1 or pReserved != NULL:
            return INVALID_PARAMETER
        self.calls.open("HttpInitialize(1)")
        return SUCCESS

    def HttpTerminate(self, Flags: int, pReserved: CData, /) -> int:
        """Count one less, of the same flags; in any case."""
        code = self.calls.enter("HttpTerminate")
        if Flags != 1 or pReserved != NULL:
            return INVALID_PARAMETER
        self.calls.close("HttpInitialize(1)")
        return code

    @returns_code
    def HttpCreateServerSession(self, _version: CData, result: CData, reserved: int, /) -> int:
        """A session."""
        if reserved or "HttpInitialize(1)" not in self.calls.leaks:
            return INVALID_PARAMETER
        result[0] = address_of(self._sessions.open(None))
        return SUCCESS

    def HttpCloseServerSession(self, session: int, /) -> int:
        """After its groups (the stricter side: Windows closes those)."""
        code = self.calls.enter("HttpCloseServerSession")
        groups = [self._groups.get(ffi.cast("void *", number)) for number in self._groups.numbers]
        if any(group.session == session for group in groups):
            raise Misuse("a group is closed before its session")
        self._sessions.close(ffi.cast("void *", session))
        return code

    @returns_code
    def HttpCreateUrlGroup(self, session: int, result: CData, reserved: int, /) -> int:
        """A group of a session."""
        self._sessions.get(ffi.cast("void *", session))
        if reserved:
            return INVALID_PARAMETER
        result[0] = address_of(self._groups.open(FakeGroup(session)))
        return SUCCESS

    def HttpCloseUrlGroup(self, group: int, /) -> int:
        """With its registrations."""
        code = self.calls.enter("HttpCloseUrlGroup")
        found = self._groups.get(ffi.cast("void *", group))
        with self.driver.lock:
            for prefix, other in list(self.driver.registered.items()):
                if other is found:
                    del self.driver.registered[prefix]
        self._groups.close(ffi.cast("void *", group))
        return code

    @returns_code
    def HttpCreateRequestQueue(
        self, _version: CData, name: CData, security: CData, flags: int, result: CData, /
    ) -> int:
        """One without a name."""
        if name != NULL or security != NULL or flags:
            return INVALID_PARAMETER
        result[0] = self._queues.open(FakeQueue())
        return SUCCESS

    def HttpCloseRequestQueue(self, queue: CData, /) -> int:
        """Not while a call goes on: its OVERLAPPED and buffer would still be written to."""
        code = self.calls.enter("HttpCloseRequestQueue")
        if any(operation.code is None for operation in self._queues.get(queue).receives):
            raise Misuse("a queue is closed while a call goes on")
        self._queues.close(queue)
        return code

    @returns_code
    def HttpSetUrlGroupProperty(self, group: int, number: int, info: CData, size: int, /) -> int:
        """HttpServerBindingProperty only."""
        found = self._groups.get(ffi.cast("void *", group))
        if number != 7 or size != ffi.sizeof("HTTP_BINDING_INFO") or info.Flags != 1:
            return INVALID_PARAMETER
        found.queue = self._queues.get(info.RequestQueueHandle)
        return SUCCESS

    @returns_code
    def HttpAddUrlToUrlGroup(self, group: int, prefix: CData, _context: int, reserved: int, /) -> int:
        """As the driver answers."""
        found = self._groups.get(ffi.cast("void *", group))
        return INVALID_PARAMETER if reserved else self.driver.register(text_of(prefix), found)

    def HttpRemoveUrlFromUrlGroup(self, group: int, prefix: CData, flags: int, /) -> int:
        """In any case, also when made to fail."""
        code = self.calls.enter("HttpRemoveUrlFromUrlGroup")
        found = self._groups.get(ffi.cast("void *", group))
        with self.driver.lock:
            if flags or self.driver.registered.get(text_of(prefix)) is not found:
                return NOT_FOUND
            del self.driver.registered[text_of(prefix)]
        return code

    @returns_code
    def HttpReceiveHttpRequest(
        self, queue: CData, number: int, flags: int, buffer: CData, room: int, received: CData, overlapped: CData, /
    ) -> int:
        """Pending until there is a request."""
        found = self._queues.get(queue)
        if number or flags or received != NULL:  # with an OVERLAPPED the number of bytes comes with its result
            return INVALID_PARAMETER
        with self.driver.lock:
            operation = self._background.begin(overlapped)
            operation.request_buffer, operation.room = buffer, room
            found.receives = [other for other in found.receives if other.code is None]
            found.receives.append(operation)
            self.driver.deliver(found)
        return IO_PENDING

    @returns_code
    def HttpSendHttpResponse(
        self,
        queue: CData,
        number: int,
        _flags: int,
        response: CData,
        reserved1: CData,
        sent: CData,
        reserved2: CData,
        reserved3: int,
        overlapped: CData,
        log: CData,
        /,
    ) -> int:
        """Done at once; or pending, and then ended as `sent_late` says."""
        self._queues.get(queue)
        if any(pointer != NULL for pointer in (reserved1, sent, reserved2, log)) or reserved3:
            return INVALID_PARAMETER
        request = self.driver.pending.pop(number, None)
        if request is None:
            return CONNECTION_INVALID
        operation = self._background.begin(overlapped)
        if self.sent_late:
            request.done.set()
            operation.end(self.sent_late.pop(0))
            return IO_PENDING
        request.response = _read_response(response)
        request.done.set()
        del self._background.operations[address_of(overlapped)]
        return SUCCESS


def _write_request(request: FakeRequest, operation: Operation) -> int:
    buffer = operation.request_buffer
    assert buffer is not None
    buffer.RequestId, buffer.Verb = request.number, VERBS.get(request.method, 1)
    text = f"http://fake.example:80{request.path}{request.query}".encode("utf-16-le", "surrogatepass")
    head = ffi.sizeof("HTTP_REQUEST_V1") + request.headers
    if head + len(text) > operation.room:
        return MORE_DATA
    start = address_of(buffer) + head
    ffi.memmove(ffi.cast("BYTE *", start), text, len(text))
    before = 2 * len("http://fake.example:80")
    url = buffer.CookedUrl
    url.pFullUrl, url.FullUrlLength = ffi.cast("WCHAR *", start), len(text)
    url.pAbsPath = ffi.cast("WCHAR *", start + before)
    url.AbsPathLength = len(request.path.encode("utf-16-le", "surrogatepass"))
    url.QueryStringLength = 2 * len(request.query)
    return SUCCESS


def _read_response(response: CData) -> FakeResponse:
    body = b""
    for index in range(response.EntityChunkCount):
        chunk = response.pEntityChunks[index]
        if chunk.DataChunkType:
            raise Misuse("only memory is imitated")
        body += bytes(ffi.buffer(ffi.cast("char *", chunk.FromMemory.pBuffer), chunk.FromMemory.BufferLength))
    header = response.Headers.KnownHeaders[12]
    kind = bytes(ffi.buffer(header.pRawValue, header.RawValueLength)) if header.RawValueLength else b""
    if not response.ReasonLength:
        raise Misuse("HTTP.sys sends the reason that it is given, and none otherwise")
    return FakeResponse(status=response.StatusCode, body=body, content_type=kind.decode("ascii"))
