//! Message bodies in DATA and BDAT, against a model that is too simple to be wrong in the same way.

mod allocation;
mod borders;
mod exhaustive;
mod model;
mod random;
