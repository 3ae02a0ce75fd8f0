"""libcurl on the event loop."""

import asyncio
import threading

import pycurl


class Transfers:
    """libcurl's transfers, driven by the event loop (`curl_multi_socket_action`).

    libcurl says which sockets it wants watched and when it wants to be woken; we tell it what
    happened. DNS answers, connections and TLS sessions are shared by all transfers.

    Args:
        connections: how many idle connections are kept for the next request.
    """

    def __init__(self, connections: int) -> None:
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._wake_in)
        self._multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self._running: dict[pycurl.Curl, asyncio.Future[tuple[int, str] | None]] = {}
        self._watched: dict[int, int] = {}
        self._timer: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def perform(self, curl: pycurl.Curl) -> tuple[int, str] | None:
        """Run one transfer to its end; returns libcurl's error code and words, None if all is well."""
        loop = self._loop = asyncio.get_running_loop()
        done = self._running[curl] = loop.create_future()
        self._multi.add_handle(curl)
        try:
            error: tuple[int, str] | None = await done
        finally:
            if self._running.pop(curl, None) is not None:
                self._multi.remove_handle(curl)
        return error

    def close(self) -> None:
        """Cancel all transfers and close all connections.

        libcurl then waits for the names that it is looking up, which cannot be cancelled: up to half a minute where
        no name server answers. It does so in a thread that nobody waits for, neither the loop nor the end of the
        program.
        """
        for curl, done in self._running.items():
            self._multi.remove_handle(curl)
            done.cancel()
        self._running.clear()
        self._wake_in(-1)
        for fd in tuple(self._watched):
            self._watch(pycurl.POLL_REMOVE, fd)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, lambda *_: 0)  # ours belong to the loop's thread
        self._multi.setopt(pycurl.M_TIMERFUNCTION, lambda _: 0)
        threading.Thread(target=self._multi.close, name="closing", daemon=True).start()

    def _watch(self, what: int, fd: int, *_: object) -> None:
        """Libcurl wants to know when `fd` can be read or written, or no longer."""
        assert self._loop is not None  # noqa: S101 – there are no sockets before the first transfer
        before = self._watched.pop(fd, pycurl.POLL_NONE)
        if what == pycurl.POLL_REMOVE:
            what = pycurl.POLL_NONE
        else:
            self._watched[fd] = what
        if what & pycurl.POLL_IN and not before & pycurl.POLL_IN:
            self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
        elif before & pycurl.POLL_IN and not what & pycurl.POLL_IN:
            self._loop.remove_reader(fd)
        if what & pycurl.POLL_OUT and not before & pycurl.POLL_OUT:
            self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
        elif before & pycurl.POLL_OUT and not what & pycurl.POLL_OUT:
            self._loop.remove_writer(fd)

    def _wake_in(self, milliseconds: int) -> None:
        """Libcurl wants to act after that time; -1: not by itself. It must not be entered from here."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds >= 0 and self._loop is not None:
            self._timer = (
                self._loop.call_later(milliseconds / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0)
                if milliseconds
                else self._loop.call_soon(self._act, pycurl.SOCKET_TIMEOUT, 0)
            )

    def _act(self, fd: int, events: int) -> None:
        """Let libcurl do what can be done now, and see what is finished."""
        try:
            self._multi.socket_action(fd, events)
        except pycurl.error as error:
            # The multi handle is broken for all: better failed than waiting for ever.
            for done in self._running.values():
                if not done.done():
                    done.set_result((pycurl.E_FAILED_INIT, str(error)))
            return
        _, well, failed = self._multi.info_read()
        for curl in well:
            self._finish(curl, None)
        for curl, code, words in failed:
            self._finish(curl, (code, words))

    def _finish(self, curl: pycurl.Curl, error: tuple[int, str] | None) -> None:
        done = self._running.get(curl)
        if done is not None and not done.done():
            done.set_result(error)
