//! Long chains of objects are taken apart in a loop, not by recursion.
//!
//! Futures whose results are futures, queues in queues: when the first of a hundred thousand goes, each lets the next one go, from within its
//! own deallocator, and the stack ends. CPython's containers stop at some depth, keep what is left for later, and return. So do these.

use std::cell::{Cell, RefCell};

/// As deep as CPython lets its own containers go.
const DEEPEST: u32 = 50;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static LATER: RefCell<Vec<Box<dyn FnOnce()>>> = const { RefCell::new(Vec::new()) };
}

/// Runs what may let go of more such objects: now, or, deep within others, when they are through.
#[inline]
pub fn let_go(body: impl FnOnce() + 'static) {
    let depth = DEPTH.get();
    if depth >= DEEPEST {
        let body: Box<dyn FnOnce()> = Box::new(body);
        // Err: the thread ends, and has no such list any more.
        let kept = LATER.try_with(move |later| later.borrow_mut().push(body));
        return kept.unwrap_or_default();
    }
    DEPTH.set(depth + 1);
    body();
    if depth == 0 {
        // Each of these may leave more behind.
        while let Some(body) = LATER.try_with(|later| later.borrow_mut().pop()).ok().flatten() {
            body();
        }
    }
    DEPTH.set(depth);
}
