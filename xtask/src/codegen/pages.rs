//! The reference pages of the documentation.

use crate::codegen::Generated;
use crate::codegen::data::Registry;

pub(super) fn files(_registry: &Registry) -> Vec<Generated> {
    Vec::new()
}
