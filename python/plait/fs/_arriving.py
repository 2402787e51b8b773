"""Text of a pipe, a terminal, a socket: what comes is decoded when it comes.

``io.TextIOWrapper`` takes all there is with its first read, and what it has taken nobody sees from outside: whether the next line is there, or has to be
waited for, could not be told. So the decoder is here, and what it gave and nobody has asked for. There are no positions that would have to be
exact, and it serves every codec. An attempt gives None where it lacks something; nothing is lost by that.
"""

import codecs
import io
import re
from typing import Any

from plait._native import File

# As much as a pipe holds.
_CHUNK = 65536
_LINE_ENDS = {None: "\n", "": "\r\n|\r|\n"}


class ArrivingText:
    """What has come, decoded. The file is given to each attempt, since it changes when it is closed."""

    def __init__(self, encoding: str, errors: str | None, newline: str | None) -> None:
        decoder: Any = codecs.getincrementaldecoder(encoding)(errors or "strict")
        if not newline:
            # It holds a carriage return back until it is known what follows.
            decoder = io.IncrementalNewlineDecoder(decoder, translate=newline is None)
        self._decoder = decoder
        self._line_end = re.compile(_LINE_ENDS.get(newline) or re.escape(str(newline)))
        self._text = ""
        self._at = 0
        # Behind the text: joined when somebody looks.
        self._parts: list[str] = []
        self._available = 0

    @property
    def newlines(self) -> Any:
        return getattr(self._decoder, "newlines", None)

    def _come(self, file: File) -> bool | None:
        """Add what one read gives. False: the end."""
        data = file.take_once(_CHUNK)
        if data is None:
            return None
        text = self._decoder.decode(data, not data)
        self._parts.append(text)
        self._available += len(text)
        return bool(data)

    def _join(self) -> None:
        if self._parts:
            self._text = "".join([self._text[self._at :], *self._parts])
            self._at = 0
            self._parts.clear()

    def _give(self, count: int) -> str:
        self._join()
        given = self._text[self._at : self._at + count]
        self._at += len(given)
        self._available -= len(given)
        return given

    def read(self, file: File, size: int) -> str | None:
        """So many characters, fewer only at the end."""
        while self._available < size:
            came = self._come(file)
            if came is None:
                return None
            if not came:
                break
        return self._give(size)

    def read_all(self, file: File) -> str | None:
        """All up to the end."""
        while came := self._come(file):
            pass
        return None if came is None else self._give(self._available)

    def read_line(self, file: File, size: int) -> str | None:
        """Up to and including the next end of a line, at most size characters."""
        while (line := self._line_there(size)) is None:
            came = self._come(file)
            if came is None:
                return None
            if not came:
                line = self._line_there(size)
                return self._give(self._available) if line is None else line
        return line

    def _line_there(self, size: int) -> str | None:
        self._join()
        limit = self._available if size < 0 else min(size, self._available)
        found = self._line_end.search(self._text, self._at, self._at + limit)
        if found:
            return self._give(found.end() - self._at)
        return self._give(size) if 0 <= size <= self._available else None

    def read_lines(self, file: File) -> list[str] | None:
        """All lines."""
        while came := self._come(file):
            pass
        if came is None:
            return None
        lines = []
        while self._available:
            line = self._line_there(-1)
            lines.append(self._give(self._available) if line is None else line)
        return lines
