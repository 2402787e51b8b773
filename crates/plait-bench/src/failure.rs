//! Errors that say what was being done, and keep the kernel's number.
//!
//! `io::Error` holds either a number or words. The words are for who reads the message, the number is what Python makes an
//! exception's class and `errno` of: so the words wrap the error that has the number.

use std::error::Error;
use std::fmt;
use std::io;

#[derive(Debug)]
struct Failure {
    what: String,
    source: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.source)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The kernel's number, if the error came from there, under whatever words.
pub fn errno(error: &io::Error) -> Option<i32> {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Failure>()) {
        Some(failure) => errno(&failure.source),
        None => error.raw_os_error(),
    }
}

/// Puts words in front of an error.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> io::Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> io::Result<T> {
        self.map_err(|error| {
            let source = error.into();
            io::Error::new(source.kind(), Failure { what: what(), source })
        })
    }
}

/// An option that makes no sense.
pub(crate) fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_number_and_kind_under_words() {
        let refused: io::Result<()> = Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        let error = refused.context(|| "inner".into()).context(|| "outer".into()).unwrap_err();
        assert_eq!(errno(&error), Some(libc::ECONNREFUSED));
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with("outer: inner: "), "{error}");
        assert_eq!(errno(&invalid("words")), None);
    }
}
