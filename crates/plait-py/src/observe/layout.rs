//! Where fields lie in CPython's own structures, in bytes, on 64-bit machines, by version.
//!
//! Internal structures keep their shape within a minor version. Whether they have it in the interpreter that runs is checked when it starts
//! (`Interpreter::find`). From 3.14 on there is nothing here that was tested, so nothing is claimed.

pub const KNOWN: bool = cfg!(all(target_pointer_width = "64", not(Py_3_14)));

/// What an object begins with: without the GIL two words more.
const HEADER: usize = if cfg!(Py_GIL_DISABLED) { 32 } else { 16 };

pub mod object {
    pub const TYPE: usize = if cfg!(Py_GIL_DISABLED) { 24 } else { 8 };
}

/// `PyInterpreterState`.
pub mod interpreter {
    pub const NEWEST_THREAD: usize = of_version(16, 72, 7344);
    pub const COLLECTING: usize = of_version(848, 312, 7600);
    use super::of_version;
}

/// `PyThreadState`: it begins with the words previous, next, interpreter.
pub mod thread {
    /// `threading.get_ident()`, followed by `threading.get_native_id()`.
    pub const IDENT: usize = of_version(152, 136, 152);
    /// The running frame; up to 3.12 a C frame, which has the running frame.
    pub const FRAME: usize = of_version(56, 56, 72);
    pub const FRAME_IN_C_FRAME: Option<usize> = if cfg!(Py_3_13) {
        None
    } else if cfg!(Py_3_12) {
        Some(0)
    } else {
        Some(8)
    };
    use super::of_version;
}

/// `_PyInterpreterFrame`.
pub mod frame {
    pub const CODE: usize = of_version(32, 0, 0);
    pub const PREVIOUS: usize = of_version(48, 8, 8);
    pub const INSTRUCTION: usize = 56;
    /// A byte. 3.11 has no frames that are `OWNED_BY_C`: these stand for a call from C, with code of their own in 3.12.
    pub const OWNER: usize = of_version(69, 70, 70);
    pub const OWNED_BY_C: u8 = 3;
    pub const SIZE: usize = 72;
    use super::of_version;
}

/// `PyCodeObject`.
pub mod code {
    pub const UNITS: usize = HEADER;
    pub const FIRST_LINE: usize = of_version(72, 68, 68) + HEADER - 16;
    /// The file's name, followed by the name, the qualified name and the line table.
    pub const FILE: usize = 112 + HEADER - 16;
    pub const INSTRUCTIONS: usize = of_version(184, 192, 200) + HEADER - 16;
    pub const SIZE: usize = INSTRUCTIONS;
    use super::{of_version, HEADER};
}

/// `bytes`.
pub mod bytes {
    pub const LENGTH: usize = HEADER;
    pub const DATA: usize = HEADER + 16;
    use super::HEADER;
}

/// `str`: the length, the hash and the word of bits that says how it is stored.
pub mod text {
    pub const LENGTH: usize = HEADER;
    pub const STATE: usize = HEADER + 16;
    /// Behind which structure the characters lie. 3.11 still has a pointer to wide characters.
    pub const ASCII: usize = of_version(48, 40, 40) + HEADER - 16;
    pub const COMPACT: usize = of_version(72, 56, 56) + HEADER - 16;
    use super::{of_version, HEADER};
}

const fn of_version(v3_11: usize, v3_12: usize, v3_13: usize) -> usize {
    if cfg!(Py_3_13) {
        v3_13
    } else if cfg!(Py_3_12) {
        v3_12
    } else {
        v3_11
    }
}
