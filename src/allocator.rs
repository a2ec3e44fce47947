//! The allocator: mimalloc, asked for plain memory where no more is needed.
//!
//! The `mimalloc` crate asks for aligned memory every time, which costs some 40 instructions more for
//! each allocation. Ordinary memory of mimalloc is aligned to a machine word, and nearly everything
//! needs no more.

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};

/// mimalloc.
pub(crate) struct Allocator;

/// Gives back to the system what this thread and ended ones have freed. mimalloc keeps it for allocations
/// to come, but what a start frees is many times what an idle sidecar will ask for.
#[allow(unsafe_code)]
pub(crate) fn give_back() {
    // Declared here: the crate's feature that has it brings every other function of mimalloc.
    unsafe extern "C" {
        fn mi_collect(force: bool);
    }
    // SAFETY: no precondition (mimalloc's documentation).
    unsafe { mi_collect(true) }
}

fn is_word_aligned(layout: Layout) -> bool {
    layout.align() <= size_of::<usize>()
}

// A global allocator cannot be written without: the trait and the C functions are unsafe.
#[allow(unsafe_code)]
// SAFETY: every function returns null or a block of at least the size and the alignment that was asked
// for (mimalloc's documentation of each); `mi_free` and `mi_realloc` take blocks of either kind; no
// function unwinds.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: no precondition.
        unsafe {
            if is_word_aligned(layout) {
                mi_malloc(size).cast()
            } else {
                mi_malloc_aligned(size, align).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: no precondition.
        unsafe {
            if is_word_aligned(layout) {
                mi_zalloc(size).cast()
            } else {
                mi_zalloc_aligned(size, align).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller has the block from one of the other functions.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller has the block from one of the other functions.
        unsafe {
            if is_word_aligned(layout) {
                mi_realloc(block.cast(), size).cast()
            } else {
                mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code, clippy::unwrap_used)]
    use super::*;

    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        line.unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse::<usize>()
            .unwrap()
            << 10
    }

    #[test]
    fn what_an_ended_thread_had_is_given_back() {
        const MANY: usize = 64 << 20;
        let before = resident();
        let thread = std::thread::spawn(move || {
            let blocks: Vec<_> = (0..MANY / 1024).map(|_| Box::new([1_u8; 1024])).collect();
            assert!(resident() > before + MANY / 2);
            drop(blocks);
        });
        thread.join().unwrap();
        give_back();
        assert!(resident() < before + MANY / 8);
    }

    #[test]
    fn blocks_have_the_alignment_that_was_asked_for_and_keep_their_content() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in [1, 3, 8, 15, 24, 100, 5_000, 100_000] {
                let layout = Layout::from_size_align(size, align).unwrap();
                // SAFETY: within the sizes of the layouts.
                unsafe {
                    let block = Allocator.alloc(layout);
                    assert_eq!(block.addr() % align, 0, "{layout:?}");
                    block.write_bytes(0x5a, size);
                    let block = Allocator.realloc(block, layout, size * 3);
                    assert_eq!(block.addr() % align, 0, "{layout:?} grown");
                    assert_eq!((*block, *block.add(size - 1)), (0x5a, 0x5a));
                    let grown = Layout::from_size_align(size * 3, align).unwrap();
                    Allocator.dealloc(block, grown);
                    let zeroed = Allocator.alloc_zeroed(layout);
                    assert_eq!(zeroed.addr() % align, 0, "{layout:?} zeroed");
                    assert_eq!((*zeroed, *zeroed.add(size - 1)), (0, 0));
                    Allocator.dealloc(zeroed, layout);
                }
            }
        }
    }
}
