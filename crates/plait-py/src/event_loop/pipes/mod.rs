//! Transports of pipes, FIFOs, terminals, and sockets that are used like them: one end is read, the other written.
//!
//! The rules are those of asyncio's two Unix pipe transports: what is accepted, which errors are reported, and that the writing end
//! is watched for reading, which is how the kernel tells that nobody reads any more. What differs is the cost, as with sockets:
//! no Handle per event, one context per transport, one gathered write for what waits.
//!
//! `end` is what both have: the file, its protocol, how they come together and part. `read` and `write` are the two types.

mod end;
pub mod read;
pub mod write;
