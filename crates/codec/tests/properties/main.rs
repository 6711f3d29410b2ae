//! Laws of the codec: what is written is read back, bytes of any kind do no harm, and work grows with the input and no faster.

mod any_bytes;
mod effort;
mod proxy;
mod round_trip;
mod strategies;
mod typed;
