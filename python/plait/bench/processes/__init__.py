"""What runs in the processes that a bench starts: `child`, `server` and `client`, and the `workloads` they run.

A package that needs nothing but the standard library around it, so that a peer's process can import it by its
place and never meet plait: importing the package plait (which `-m plait.bench...` does) could change the modules that
the peer is measured with. For plait's own columns the same has another use: plait is imported and installed first, and
only then do the workloads import what they measure.
"""
