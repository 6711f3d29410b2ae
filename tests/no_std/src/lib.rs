//! Links ehlo-codes and ehlo-codec without std.
//!
//! std has a panic handler; so has this library. If anything it links pulled std in, the compiler would find two and refuse.
//! It also has an allocator of its own, which ehlo-codec needs (`alloc`), and which never has memory: nothing here is meant to run.
#![no_std]

#[cfg(feature = "with-std")]
extern crate std;

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::panic::PanicInfo;
use core::ptr;

use ehlo_codec::{Command, Framed, LineFramer};
use ehlo_codes::{EnhancedCode, ReplyCode, Stage, Verb};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

struct NoMemory;

#[expect(unsafe_code, reason = "the trait is unsafe to implement; an allocator without memory keeps its contract")]
// SAFETY: `alloc` may answer null, which says that there is no memory, so `dealloc` is never given a block.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

/// Touches the tables and their look-ups.
#[expect(unsafe_code, reason = "an exported symbol keeps the code in the library")]
#[unsafe(no_mangle)]
pub extern "C" fn ehlo_proof_codes() -> usize {
    let code = ReplyCode::from_digits(black_box(*b"550"));
    let status = EnhancedCode::parse_prefix(black_box(b"5.1.1 no such user"));
    let verb = Verb::from_bytes(black_box(b"RCPT"));
    let title = code.and_then(ReplyCode::info).map_or(0, |info| info.title.len());
    let meaning = status.and_then(|(status, _)| status.info()).map_or(0, |info| info.meaning.len());
    let permitted = code.zip(verb).is_some_and(|(code, verb)| Stage::Verb(verb).permits(code));
    title + meaning + usize::from(permitted)
}

/// Touches the framing of lines and the grammar of commands, which searches with memchr and allocates.
#[expect(unsafe_code, reason = "an exported symbol keeps the code in the library")]
#[unsafe(no_mangle)]
pub extern "C" fn ehlo_proof_codec() -> usize {
    let mut framer = LineFramer::new(512);
    let (used, frame) = framer.next(black_box(b"MAIL FROM:<ada@example.org> SIZE=1000\r\n"));
    match frame {
        Framed::Line(line) if Command::parse(line).is_ok() => used,
        _ => 0,
    }
}
