"""One attribute of one standard module or class: replaced, and put back.

What `install` changes is a short list of these, so that what it touches can be read off in one place. An
attribute that somebody else has changed in the meantime is theirs: `restore` leaves it alone, and `apply`, which
is only ever called because the user asked for plait again, remembers it as what to go back to.
"""

from types import ModuleType

_ABSENT = object()


class Swap:
    """Puts `replacement` in the place of ``module.name``. Not safe to use from two threads at once."""

    def __init__(self, module: ModuleType | type, name: str, replacement: object) -> None:
        self._module = module
        self._name = name
        self._replacement = replacement
        self._before: object = _ABSENT
        self._applied = False  # somebody else may have put the replacement there before

    def apply(self) -> None:
        """Put the replacement in place, unless it is there already."""
        current = getattr(self._module, self._name, _ABSENT)
        if current is not self._replacement:
            self._before = current
            self._applied = True
            setattr(self._module, self._name, self._replacement)

    def restore(self) -> None:
        """Put back what was there, unless the replacement has been replaced in turn."""
        if not self._applied or getattr(self._module, self._name, _ABSENT) is not self._replacement:
            return
        self._applied = False
        if self._before is _ABSENT:
            delattr(self._module, self._name)
        else:
            setattr(self._module, self._name, self._before)
