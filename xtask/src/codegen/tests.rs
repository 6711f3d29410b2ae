//! Tests of the generator on small tables.
