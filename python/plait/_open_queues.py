"""Queues that were taken apart: the standard algorithm on the native types.

A native queue keeps its items to itself until somebody wants to see how it works inside: a subclass overrides ``_put``, a program reads ``mutex``,
``not_empty``, ``queue`` (of asyncio's: ``_queue``, ``_getters``). Then it is opened, for good: what the standard class has is put into the object's
dictionary, the items move there, whoever waits is woken, and the native methods let the standard ones run, which find all they need on the object. That is slow, and right.
"""

import asyncio
import os
import queue
import threading
from collections import deque
from types import MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

OPENED: Any = type("_Opened", (), {"__slots__": ()})()
MUST_WAIT: Any = type("_MustWait", (), {"__slots__": ()})()

_Condition: Any = None  # the native ones; `connect` brings them
_Event: Any = None
_openings_guard = threading.Lock()

# What a subclass may override, of what the standard algorithm calls.
_THREAD_HOOKS = ("_init", "_qsize", "_put", "_get")
_TASK_HOOKS = ("_init", "_put", "_get", "_format", "_wakeup_next", "_get_loop", "qsize", "empty", "full", "put_nowait", "get_nowait")
# Attributes of the standard object that are descriptors here, and that a class may hide.
_THREAD_ATTRIBUTES = ("maxsize", "unfinished_tasks", "is_shutdown")
_TASK_ATTRIBUTES = ("_maxsize", "_unfinished_tasks", "_is_shutdown")
_overriding: WeakKeyDictionary[type, bool] = WeakKeyDictionary()
_hooks: dict[type, tuple[str, ...]] = {}
_attributes: dict[type, tuple[str, ...]] = {}
_openers: dict[type, Any] = {}
_being_opened: "dict[int, _Opening]" = {}  # by the queue's id


def overrides_hooks(cls: type) -> bool:
    """Whether a subclass of a native queue has ideas of its own about where items are kept."""
    known = _overriding.get(cls)
    if known is None:
        base = _base_of(cls)
        names = _hooks[base] + _attributes[base]
        known = any(getattr(cls, name, None) is not getattr(base, name, None) for name in names)
        _overriding[cls] = known
    return known


def _base_of(cls: type) -> Any:
    return next(base for base in cls.__mro__ if base in _hooks)


class _Opening:
    """Who is just opening a queue. Others that look at it wait until it is open."""

    def __init__(self, opened: Any) -> None:
        self.opened = opened  # its id is taken as long as this is there
        self.lock = threading.RLock()
        self.wanted = 0
        self.initialises: int | None = None  # the thread that is in `_init`

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()
        with _openings_guard:
            self.wanted -= 1
            if not self.wanted:
                _being_opened.pop(id(self.opened), None)


def _opening(opened: Any) -> _Opening:
    with _openings_guard:
        opening = _being_opened.get(id(opened))
        if opening is None:
            opening = _being_opened[id(opened)] = _Opening(opened)
        opening.wanted += 1
        return opening


def _forget_openings() -> None:
    """In a child process: those who were opening queues have stayed behind."""
    global _openings_guard
    _openings_guard = threading.Lock()
    _being_opened.clear()


def open_thread_queue(opened: Any) -> None:
    """Open one of ``queue``'s, unless it is open already. Safe to call from all threads."""
    with _opening(opened):
        if opened._is_open:
            return
        _initialise(opened, _base_of(type(opened)).maxsize.__get__(opened))  # without the mutex, as the standard queue begins
        attributes = vars(opened)
        mutex = attributes["mutex"] = threading.Lock()
        for name in ("not_empty", "not_full", "all_tasks_done"):
            attributes[name] = _Condition(mutex)
        # Whoever waited, or comes now, tries for the mutex, and finds the items when it has it.
        with mutex:
            items, _, _ = opened._close_down()
            _show_hidden(opened)
            if items:
                opened.queue.extend(items)


def open_task_queue(opened: Any) -> None:
    """Open one of asyncio's, unless it is open already. For the loop's own thread."""
    if opened._is_open:
        return
    attributes = vars(opened)
    attributes["_getters"], attributes["_putters"] = deque(), deque()
    finished = attributes["_finished"] = _Event()
    if opened._unfinished_tasks == 0:
        finished.set()
    _initialise(opened, _base_of(type(opened))._maxsize.__get__(opened))
    # The tasks that wait go on waiting, for the standard algorithm to wake them.
    items, getters, putters = opened._close_down()
    _show_hidden(opened)
    attributes["_getters"].extend(getters)
    attributes["_putters"].extend(putters)
    if items:
        opened._queue.extend(items)


def _show_hidden(opened: Any) -> None:
    """Give the object attributes of its own where its class hides the native ones."""
    cls = type(opened)
    base = _base_of(cls)
    for name in _attributes[base]:
        native = getattr(base, name, None)
        if native is not None and getattr(cls, name) is not native:
            vars(opened)[name] = native.__get__(opened)


def _initialise(opened: Any, maxsize: Any) -> None:
    """Let the queue, or its subclass, make what it keeps its items in."""
    opening = _opening(opened)
    with opening:
        opening.initialises = threading.get_ident()
        try:
            opened._init(maxsize)
        finally:
            opening.initialises = None


def _is_at_it(opened: Any) -> bool:
    """Whether this thread is in the queue's `_init`. Another that looks at the queue meanwhile waits until it is open."""
    opening = _being_opened.get(id(opened))
    return opening is not None and opening.initialises == threading.get_ident()


def give_up(opened: Any, waiter: Any) -> None:
    """A task that waited when its queue was opened, and is cancelled: what the standard algorithm does then."""
    for waiters, has_nothing_for in ((opened._getters, opened.empty), (opened._putters, opened.full)):
        if waiter in waiters:
            waiters.remove(waiter)
        elif not waiter.cancelled() and not has_nothing_for():
            opened._wakeup_next(waiters)


class _Hook:
    """A method that a program may also put on the object itself, which opens the queue."""

    def __init__(self, name: str, function: Any) -> None:
        self._name = name
        self._function = function

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self._function
        own = vars(instance).get(self._name)
        return MethodType(self._function, instance) if own is None else own

    def __set__(self, instance: Any, value: Any) -> None:
        if not instance._is_open:
            _openers[_base_of(type(instance))](instance)
        vars(instance)[self._name] = value

    def __delete__(self, instance: Any) -> None:
        _delete(instance, self._name)


def _delete(instance: Any, name: str) -> None:
    if vars(instance).pop(name, _delete) is _delete:
        raise AttributeError(f"{type(instance).__name__!r} object has no attribute {name!r}")


class _Opens:
    """An attribute of the standard class, which opens the queue when it is first read or written. It lies in the object's own dictionary."""

    def __init__(self, name: str, open_it: Any) -> None:
        self._name = name
        self._open = open_it

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            raise AttributeError(f"type object {owner.__name__!r} has no attribute {self._name!r}")
        if not instance._is_open and not _is_at_it(instance):
            self._open(instance)
        try:
            return vars(instance)[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}") from None

    def __set__(self, instance: Any, value: Any) -> None:
        # `_init`, which is called while the queue is being opened, sets what the queue keeps its items in.
        if not instance._is_open and not _is_at_it(instance):
            self._open(instance)
        vars(instance)[self._name] = value

    def __delete__(self, instance: Any) -> None:
        _delete(instance, self._name)


class _Never:
    """The same attribute of a universal queue, which coroutines use too and which is never opened."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self._name!r}")


def connect(native: ModuleType) -> None:
    """Complete the native types. Called once, by the native module."""
    global _Condition, _Event
    _Condition = native.ThreadingCondition
    _Event = native.AsyncioEvent
    kinds = ("Queue", "LifoQueue", "PriorityQueue")
    for name in kinds:
        cls = getattr(native, "Threading" + name)
        for hook in _THREAD_HOOKS:
            setattr(cls, hook, _Hook(hook, getattr(getattr(queue, name), hook)))
        _hooks[cls], _attributes[cls] = _THREAD_HOOKS, _THREAD_ATTRIBUTES
        _openers[cls] = open_thread_queue
        cls = getattr(native, "Asyncio" + name)
        for hook in ("_init", "_put", "_get"):
            setattr(cls, hook, _Hook(hook, getattr(getattr(asyncio, name), hook)))
        _hooks[cls], _attributes[cls] = _TASK_HOOKS, _TASK_ATTRIBUTES
        _openers[cls] = open_task_queue
    os.register_at_fork(after_in_child=_forget_openings)
    for attribute in ("queue", "mutex", "not_empty", "not_full", "all_tasks_done"):
        setattr(native.ThreadingQueue, attribute, _Opens(attribute, open_thread_queue))
        setattr(native.Queue, attribute, _Never(attribute))
    for attribute in ("_queue", "_getters", "_putters", "_finished"):
        setattr(native.AsyncioQueue, attribute, _Opens(attribute, open_task_queue))
    native.AsyncioQueue._wakeup_next = asyncio.Queue._wakeup_next  # type: ignore[attr-defined]
