"""The package of ``plait.concurrent.futures``, as the standard one is of ``concurrent.futures``."""

from plait.concurrent import futures as futures
