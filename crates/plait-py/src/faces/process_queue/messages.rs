//! From an object to the bytes of a message, and back.
//!
//! A message is a pickle, or, for what is sent most, something shorter that makes the same object: None, booleans, integers, floats, strings, bytes, and
//! tuples of them. Their pickle could not be influenced by anybody: the pickler looks at its tables for other types only. Where a pickle would keep
//! the identity of two parts (the same string twice in a tuple), it is a pickle. Lists and dictionaries of such things are pickled directly; for all else
//! multiprocessing's own pickler is asked, which knows connections, locks and what programs have registered.
//!
//! Pickles begin with 0x80, the others with one of the letters below.

use crate::ffi::with_bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

const NONE: u8 = b'N';
const TRUE: u8 = b'T';
const FALSE: u8 = b'F';
const INTEGER: u8 = b'I';
const FLOAT: u8 = b'D';
const STRING: u8 = b'S';
const BYTES: u8 = b'B';
const TUPLE: u8 = b'U';

/// How deep and how wide tuples may be; how much is looked at to find out that nothing needs the special pickler.
const DEEPEST: usize = 4;
const MOST_PARTS: usize = 16;
const MOST_LOOKS: usize = 256;

struct Pickling {
    dumps: Py<PyAny>,
    loads: Py<PyAny>,
    /// multiprocessing's pickler.
    forking: Py<PyAny>,
}

fn pickling(py: Python<'_>) -> PyResult<&Pickling> {
    static PICKLING: PyOnceLock<Pickling> = PyOnceLock::new();
    PICKLING.get_or_try_init(py, || {
        let pickle = py.import("pickle")?;
        Ok(Pickling {
            dumps: pickle.getattr("dumps")?.unbind(),
            loads: pickle.getattr("loads")?.unbind(),
            forking: py.import("multiprocessing.reduction")?.getattr("ForkingPickler")?.unbind(),
        })
    })
}

/// Writes an object's message to the empty buffer.
///
/// # Errors
///
/// What pickling it raises.
#[inline]
pub fn encode(object: &Bound<'_, PyAny>, into: &mut Vec<u8>) -> PyResult<()> {
    if Shared::default().write(object, into, DEEPEST) {
        return Ok(());
    }
    into.clear();
    pickle(object, into)
}

fn pickle(object: &Bound<'_, PyAny>, into: &mut Vec<u8>) -> PyResult<()> {
    let py = object.py();
    let pickling = pickling(py)?;
    if is_plain(object, DEEPEST, &mut 0) {
        let pickled = pickling.dumps.bind(py).call1((object,))?;
        into.extend_from_slice(pickled.cast::<PyBytes>()?.as_bytes());
        return Ok(());
    }
    let pickled = pickling.forking.bind(py).call_method1(intern!(py, "dumps"), (object,))?;
    with_bytes(&PyBuffer::get(&pickled)?, |bytes| into.extend_from_slice(bytes));
    Ok(())
}

/// The parts that a pickle would write once: later ones refer to them.
#[derive(Default)]
struct Shared {
    parts: [usize; MOST_PARTS],
    count: usize,
}

impl Shared {
    /// Whether there is room for one more, and it is not among them.
    fn add(&mut self, object: &Bound<'_, PyAny>) -> bool {
        let address = object.as_ptr() as usize;
        let is_new = self.count < MOST_PARTS && !self.parts[..self.count].contains(&address);
        if is_new {
            self.parts[self.count] = address;
            self.count += 1;
        }
        is_new
    }

    /// Writes the object, if it is of those kinds. False: it is not, and something may have been written.
    #[inline]
    fn write(&mut self, object: &Bound<'_, PyAny>, into: &mut Vec<u8>, depth: usize) -> bool {
        if let Ok(number) = object.cast_exact::<PyInt>() {
            return write_integer(number, into);
        }
        if object.is_none() {
            into.push(NONE);
        } else if let Ok(truth) = object.cast_exact::<PyBool>() {
            into.push(if truth.is_true() { TRUE } else { FALSE });
        } else if let Ok(float) = object.cast_exact::<PyFloat>() {
            into.push(FLOAT);
            into.extend_from_slice(&float.value().to_ne_bytes());
        } else if let Ok(string) = object.cast_exact::<PyString>() {
            // What has no UTF-8 (a lone surrogate) is left to the pickler.
            let Ok(text) = string.to_str() else { return false };
            return self.write_bytes(STRING, object, text.as_bytes(), into);
        } else if let Ok(bytes) = object.cast_exact::<PyBytes>() {
            return self.write_bytes(BYTES, object, bytes.as_bytes(), into);
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            return self.write_tuple(tuple, into, depth);
        } else {
            return false;
        }
        true
    }

    fn write_bytes(&mut self, kind: u8, object: &Bound<'_, PyAny>, bytes: &[u8], into: &mut Vec<u8>) -> bool {
        let Ok(length) = u32::try_from(bytes.len()) else { return false };
        into.push(kind);
        into.extend_from_slice(&length.to_ne_bytes());
        into.extend_from_slice(bytes);
        self.add(object)
    }

    fn write_tuple(&mut self, tuple: &Bound<'_, PyTuple>, into: &mut Vec<u8>, depth: usize) -> bool {
        let count = tuple.len();
        if depth == 0 || count > MOST_PARTS || !self.add(tuple) {
            return false;
        }
        into.extend_from_slice(&[TUPLE, count as u8]);
        tuple.iter().all(|part| self.write(&part, into, depth - 1))
    }
}

fn write_integer(number: &Bound<'_, PyInt>, into: &mut Vec<u8>) -> bool {
    let Ok(number) = number.extract::<i64>() else { return false };
    into.push(INTEGER);
    into.extend_from_slice(&number.to_ne_bytes());
    true
}

/// Whether it is made of things that every pickler pickles alike.
fn is_plain(object: &Bound<'_, PyAny>, depth: usize, looks: &mut usize) -> bool {
    *looks += 1;
    if depth == 0 || *looks > MOST_LOOKS {
        return false;
    }
    let mut plain = |part: &Bound<'_, PyAny>| is_plain(part, depth - 1, looks);
    if let Ok(list) = object.cast_exact::<PyList>() {
        list.iter().all(|part| plain(&part))
    } else if let Ok(dict) = object.cast_exact::<PyDict>() {
        dict.iter().all(|(key, value)| plain(&key) && plain(&value))
    } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        tuple.iter().all(|part| plain(&part))
    } else {
        object.is_none()
            || object.is_exact_instance_of::<PyBool>()
            || object.is_exact_instance_of::<PyInt>()
            || object.is_exact_instance_of::<PyFloat>()
            || object.is_exact_instance_of::<PyString>()
            || object.is_exact_instance_of::<PyBytes>()
    }
}

/// The object of a message.
///
/// # Errors
///
/// What unpickling it raises; ValueError: it is no message.
#[inline]
pub fn decode<'py>(py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if message.first() == Some(&0x80) {
        return pickling(py)?.loads.bind(py).call1((PyBytes::new(py, message),));
    }
    let mut rest = message;
    let object = read(py, &mut rest, DEEPEST)?;
    match rest.is_empty() {
        true => Ok(object),
        false => Err(malformed()),
    }
}

fn read<'py>(py: Python<'py>, rest: &mut &[u8], depth: usize) -> PyResult<Bound<'py, PyAny>> {
    Ok(match take::<1>(rest)?[0] {
        NONE => py.None().into_bound(py),
        TRUE => PyBool::new(py, true).to_owned().into_any(),
        FALSE => PyBool::new(py, false).to_owned().into_any(),
        INTEGER => i64::from_ne_bytes(take(rest)?).into_pyobject(py)?.into_any(),
        FLOAT => PyFloat::new(py, f64::from_ne_bytes(take(rest)?)).into_any(),
        STRING => {
            let text = std::str::from_utf8(take_counted(rest)?).map_err(|_| malformed())?;
            PyString::new(py, text).into_any()
        }
        BYTES => PyBytes::new(py, take_counted(rest)?).into_any(),
        TUPLE if depth > 0 => {
            let [count] = take(rest)?;
            let parts = (0..count).map(|_| read(py, rest, depth - 1)).collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, parts)?.into_any()
        }
        _ => return Err(malformed()),
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> PyResult<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>().ok_or_else(malformed)?;
    *rest = left;
    Ok(*taken)
}

fn take_counted<'a>(rest: &mut &'a [u8]) -> PyResult<&'a [u8]> {
    let count = u32::from_ne_bytes(take(rest)?) as usize;
    let (taken, left) = rest.split_at_checked(count).ok_or_else(malformed)?;
    *rest = left;
    Ok(taken)
}

#[cold]
fn malformed() -> PyErr {
    PyValueError::new_err("what was got from the queue is no message")
}
