//! Hardware keys, with signatures made by hand as PROTOCOL.u2f says.
