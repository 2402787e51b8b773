//! Sockets as a transport needs them: calls that never wait, what is still to be written, when to
//! pause.
//!
//! [`socket`] is one function per system call, and so is [`pipe`] for what is no socket. [`write_buffer`] keeps what the kernel did not take.
//! [`flow`] tells the writer to pause and to resume. [`read_buffer`] keeps what nobody has read yet, and
//! [`stream`] has the rules by which it is read. [`read_size`] guesses how much the next read brings; [`address`] is small. None of them knows the reactor: the transport joins
//! them.

pub mod address;
pub mod flow;
pub mod pipe;
pub mod read_buffer;
pub mod read_size;
pub mod socket;
pub mod stream;
pub mod write_buffer;

pub use address::CompactAddress;
pub use flow::{FlowControl, LimitsError};
pub use read_size::{ReadSize, LARGEST_READ};
pub use stream::{Counted, Sought, Stream};
pub use write_buffer::WriteBuffer;
