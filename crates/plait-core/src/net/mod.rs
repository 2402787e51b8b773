//! Sockets as a transport needs them: calls that never wait, what is still to be written, when to
//! pause.
//!
//! [`socket`] is one function per system call, and so is [`pipe`] for what is no socket. [`write_buffer`] keeps what the kernel did not take.
//! [`flow`] tells the writer to pause and to resume. [`read_buffer`] keeps what nobody has read yet, and
//! [`stream`] has the rules by which it is read. [`read_size`] guesses how much the next read brings; [`address`] is small. [`send_file`] sends files. [`datagram`] receives and sends datagrams, and
//! [`socket_address`] is where they come from and go to. None of them knows the reactor: the transport joins them.

pub mod address;
pub mod datagram;
pub mod flow;
pub mod pipe;
pub mod read_buffer;
pub mod read_size;
pub mod send_file;
pub mod socket;
pub mod socket_address;
pub mod stream;
pub mod write_buffer;

pub use address::CompactAddress;
pub use datagram::Batch;
pub use flow::{FlowControl, LimitsError};
pub use read_size::{ReadSize, LARGEST_READ};
pub use socket_address::SocketAddress;
pub use stream::{Counted, Sought, Stream};
pub use write_buffer::WriteBuffer;
