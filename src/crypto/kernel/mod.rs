//! Kernels: sealing and opening records. All are equal, byte for byte, to
//! [`portable`], and only here may code be unsafe.

pub(in crate::crypto) mod portable;
