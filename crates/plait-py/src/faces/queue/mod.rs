//! Queues, for threads ([`threading`]), for the tasks of one loop ([`asyncio`]), and for all ([`universal`]).
//!
//! [`store`] is what they have in common: the items, and who waits for them.
//!
//! The standard queues can be taken apart: programs override `_put`, lock `mutex`, look into `queue`. So these have two modes. A
//! *sealed* queue keeps its items in Rust. It becomes an *open* one, for good, when a subclass overrides a hook, or when somebody first
//! reads an attribute of that kind: then the items move to a real deque or list, everybody who waits is woken, and from then on
//! the standard library's own methods run, on real attributes (`python/plait/_open_queues.py`).

mod answers;
pub mod asyncio;
pub mod store;
pub mod threading;
mod turns;
pub mod universal;
