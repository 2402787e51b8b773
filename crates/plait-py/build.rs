//! Gives this crate the same `cfg(Py_3_12)`, `cfg(Py_GIL_DISABLED)` … that pyo3 itself is built with.
fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
