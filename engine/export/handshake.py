"""Fixed newstyle negotiation with one client: from the greeting to an opened export, or to the end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from typing import NamedTuple, Protocol

from engine.export import codec
from engine.export.codec import ProtocolError, Refusal
from engine.export.constants import (
    BASE_ALLOCATION,
    BASE_ALLOCATION_ID,
    DIRTY_BITMAP,
    DIRTY_BITMAP_ID,
    HANDSHAKE_DEADLINE_S,
    MAXIMUM_OPTION,
    MAXIMUM_OPTIONS,
    OPTION_MAGIC,
    OPTIONS_PER_LISTED_EXPORT,
    WILDCARDS,
    HandshakeFlag,
    Info,
    Option,
    OptionReply,
)
from engine.export.source import ExportFacts, Opened


class Catalogue(Protocol):
    """The exports as one connection may see them."""

    def names(self) -> list[str]:
        """Names of what may be opened."""

    def describe(self, name: str) -> ExportFacts | None:
        """Facts about one export, or None."""

    def open(self, name: str) -> Opened | None:
        """Open for this client, or None when there is no such export. Raises Refusal when there is no room."""


class Negotiated(NamedTuple):
    """What both sides agreed on. `size` is in bytes; `allocation` and `changes`: these contexts were selected."""

    opened: Opened
    size: int
    structured: bool
    allocation: bool
    changes: bool = False


class Handshake:
    """Negotiates on a socket that nobody else uses, within one deadline for everything."""

    def __init__(self, link: socket.socket, catalogue: Catalogue, now: Callable[[], float]) -> None:
        self._link = link
        self._catalogue = catalogue
        self._now = now
        self._deadline = now() + HANDSHAKE_DEADLINE_S
        self._options_left = MAXIMUM_OPTIONS
        self._listed = False
        self._fixed = False
        self._zeroes = True
        self._structured = False
        self._chosen: tuple[str, frozenset[bytes]] = "", frozenset()  # contexts, and of which export
        self._ending = False
        self._result: Negotiated | None = None

    def end(self) -> None:
        """From any thread: whatever is asked from now on is refused, because the server stops."""
        self._ending = True

    def run(self) -> Negotiated | None:
        """Negotiate until transmission starts, or None when the client aborted.

        Raises ProtocolError or OSError (TimeoutError at the deadline) when the connection can only be dropped; an
        export that was opened meanwhile is closed again.
        """
        try:
            self._send(codec.greeting())
            self._take_client_flags()
            while self._result is None:
                if not self._one_option():
                    return None
        except BaseException:
            if self._result is not None:
                self._result.opened.close()
            raise
        return self._result

    def _take_client_flags(self) -> None:
        flags = int.from_bytes(self._receive(4), "big")
        if flags & ~int(HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES):
            raise ProtocolError("unknown client flags")
        self._fixed = bool(flags & HandshakeFlag.FIXED_NEWSTYLE)
        self._zeroes = not flags & HandshakeFlag.NO_ZEROES

    def _one_option(self) -> bool:
        magic, option, length = codec.OPTION_HEADER.unpack(self._receive(codec.OPTION_HEADER.size))
        if magic != OPTION_MAGIC:
            raise ProtocolError("wrong magic in an option")
        if length > MAXIMUM_OPTION:
            raise ProtocolError("an option is too long")
        if not self._options_left:
            raise ProtocolError("too many options")
        if not self._fixed and option != Option.EXPORT_NAME:
            raise ProtocolError("an option that needs fixed newstyle")
        self._options_left -= 1
        body = self._receive(length)
        if option == Option.EXPORT_NAME:
            self._old_style(body)
            return True
        try:
            if self._ending:
                raise Refusal(OptionReply.ERR_SHUTDOWN, "the server stops")
            return _ANSWERS.get(option, Handshake._unsupported)(self, option, body)
        except Refusal as refusal:
            self._answer(option, refusal.reply, str(refusal).encode())
            return True

    def _unsupported(self, option: int, body: bytes) -> bool:
        raise Refusal(OptionReply.ERR_UNSUP, "this option is not supported")

    def _abort(self, option: int, body: bytes) -> bool:
        self._answer(option, OptionReply.ACK)
        return False

    def _list(self, option: int, body: bytes) -> bool:
        _expect_empty(body)
        names = self._catalogue.names()
        if not self._listed:
            self._options_left += OPTIONS_PER_LISTED_EXPORT * len(names)
            self._listed = True
        replies = [codec.listed_export(name) for name in names]
        self._send(b"".join(replies) + codec.option_reply(option, OptionReply.ACK))
        return True

    def _structured_reply(self, option: int, body: bytes) -> bool:
        _expect_empty(body)
        if self._structured:
            raise Refusal(OptionReply.ERR_INVALID, "structured replies were negotiated before")
        self._structured = True
        self._answer(option, OptionReply.ACK)
        return True

    def _meta_context(self, option: int, body: bytes) -> bool:
        if not self._structured:
            raise Refusal(OptionReply.ERR_INVALID, "structured replies have to be negotiated first")
        choosing = option == Option.SET_META_CONTEXT
        if choosing:
            self._chosen = "", frozenset()
        name, queries = codec.parse_meta_query(body)
        facts = self._catalogue.describe(name)
        if facts is None:
            raise Refusal(OptionReply.ERR_UNKNOWN, "there is no started volume of this name")
        wanted = [context for context in _served(facts) if _is_wanted(context, queries, choosing=choosing)]
        if choosing:
            self._chosen = name, frozenset(wanted)
        numbers = [_CONTEXTS[context] if choosing else 0 for context in wanted]
        replies = [codec.meta_context(option, *one) for one in zip(numbers, wanted, strict=True)]
        self._send(b"".join(replies) + codec.option_reply(option, OptionReply.ACK))
        return True

    def _info(self, option: int, body: bytes) -> bool:
        name, infos = codec.parse_info_query(body)
        facts = self._catalogue.describe(name)
        if facts is None:
            raise Refusal(OptionReply.ERR_UNKNOWN, "there is no started volume of this name")
        self._tell(option, name, infos, facts)
        return True

    def _go(self, option: int, body: bytes) -> bool:
        name, infos = codec.parse_info_query(body)
        result = self._open(name)
        if result is None:
            raise Refusal(OptionReply.ERR_UNKNOWN, "there is no started volume of this name")
        facts = ExportFacts(result.size, result.opened.read_only)
        described = self._catalogue.describe(name) if Info.DESCRIPTION in infos else None
        if described is not None:
            facts = facts._replace(description=described.description)
        self._tell(option, name, infos, facts)
        return True

    def _old_style(self, raw: bytes) -> None:
        try:
            result = self._open(codec.export_name(raw))
        except Refusal as refusal:
            raise ProtocolError(str(refusal)) from None
        if result is None:
            raise ProtocolError("EXPORT_NAME asked for an unknown export")
        flags = codec.export_flags(read_only=result.opened.read_only, structured=self._structured)
        self._send(codec.old_style_export(result.size, flags, zeroes=self._zeroes))

    def _open(self, name: str) -> Negotiated | None:
        opened = self._catalogue.open(name)
        if opened is None:
            return None
        chosen = self._chosen[1] if self._chosen[0] == name else frozenset()
        contexts = BASE_ALLOCATION in chosen, DIRTY_BITMAP in chosen
        self._result = Negotiated(opened, opened.source.size, self._structured, *contexts)
        return self._result

    def _tell(self, option: int, name: str, infos: frozenset[int], facts: ExportFacts) -> None:
        flags = codec.export_flags(read_only=facts.read_only, structured=self._structured)
        pieces = [codec.info_export(facts.size, flags)]
        if Info.BLOCK_SIZE in infos:
            pieces.append(codec.info_block_size())
        if Info.NAME in infos:
            pieces.append(codec.info_text(Info.NAME, name))
        if Info.DESCRIPTION in infos and facts.description:
            pieces.append(codec.info_text(Info.DESCRIPTION, facts.description))
        replies = [codec.option_reply(option, OptionReply.INFO, piece) for piece in pieces]
        self._send(b"".join(replies) + codec.option_reply(option, OptionReply.ACK))

    def _answer(self, option: int, reply: OptionReply, body: bytes = b"") -> None:
        self._send(codec.option_reply(option, reply, body))

    def _send(self, data: bytes) -> None:
        self._arm()
        self._link.sendall(data)

    def _receive(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            self._arm()
            piece = self._link.recv(length - len(data))
            if not piece:
                raise ProtocolError("the client went away while negotiating")
            data += piece
        return bytes(data)

    def _arm(self) -> None:
        left_s = self._deadline - self._now()
        if left_s <= 0:
            raise TimeoutError("negotiation took too long")
        self._link.settimeout(left_s)


_CONTEXTS = {BASE_ALLOCATION: BASE_ALLOCATION_ID, DIRTY_BITMAP: DIRTY_BITMAP_ID}


def _served(facts: ExportFacts) -> tuple[bytes, ...]:
    return (BASE_ALLOCATION, DIRTY_BITMAP) if facts.tells_changes else (BASE_ALLOCATION,)


def _is_wanted(context: bytes, queries: Collection[bytes], *, choosing: bool) -> bool:
    if choosing or context in queries:
        return context in queries
    return not queries or any(context.startswith(part) for part in WILDCARDS if part in queries)


def _expect_empty(body: bytes) -> None:
    if body:
        raise Refusal(OptionReply.ERR_INVALID, "this option takes no data")


_ANSWERS: dict[int, Callable[[Handshake, int, bytes], bool]] = {
    Option.ABORT: Handshake._abort,
    Option.LIST: Handshake._list,
    Option.INFO: Handshake._info,
    Option.GO: Handshake._go,
    Option.STRUCTURED_REPLY: Handshake._structured_reply,
    Option.LIST_META_CONTEXT: Handshake._meta_context,
    Option.SET_META_CONTEXT: Handshake._meta_context,
}
"""Answers False when negotiation is over without an export."""
