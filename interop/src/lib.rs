//! Tests only: see `tests/differential`.
