//! The features of this processor, as types.
//!
//! A value of [`AesNi`] or [`Avx512`] exists only where its instructions do, so a kernel that
//! takes one cannot run elsewhere. The choice between kernels: [`super::choice`].

/// Proof of AES-NI, SHA-NI and AVX.
#[derive(Debug, Clone, Copy)]
pub(in crate::crypto) struct AesNi(());

/// Proof of AVX-512 (F, BW, DQ, VL), of VAES, and of all that [`AesNi`] proves.
#[derive(Debug, Clone, Copy)]
pub(in crate::crypto) struct Avx512(AesNi);

impl AesNi {
    /// `None` where an instruction is missing.
    pub(in crate::crypto) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("sse4.1")
            && is_x86_feature_detected!("avx");
        all.then_some(Self(()))
    }
}

impl Avx512 {
    /// `None` where an instruction is missing.
    pub(in crate::crypto) fn detect() -> Option<Self> {
        // `avx512f` implies the next three where the compiler enables it.
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("vaes");
        AesNi::detect().filter(|_| all).map(Self)
    }

    /// The features that it includes.
    pub(in crate::crypto) fn aesni(self) -> AesNi {
        self.0
    }
}
