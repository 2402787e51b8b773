"""What happened in one module, as lines of JSON that several processes add to.

Each line is one unbuffered write to a file opened for appending: what was noted before a crash is there, and lines of
children, forked or started, do not mix with the worker's.
"""

import json
import os
from pathlib import Path


class Report:
    def __init__(self, path: str):
        self.path = os.path.abspath(path)
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, kind: str, **fields) -> None:
        os.write(self.descriptor, json.dumps({"kind": kind, **fields}).encode() + b"\n")

    def notes(self) -> list[dict]:
        return [json.loads(line) for line in Path(self.path).read_text().splitlines()]
