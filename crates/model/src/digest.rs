//! Running digests of what may be long: the rest of a long one can be computed beside the thread that has the bytes.

use std::fmt;

use crate::Sha256Hex;

/// From so many bytes on a digest is long.
const LONG_BYTES: u64 = 4 << 20;

/// A running SHA-256.
pub trait Digesting: Send {
    /// Takes the bytes that come next. May wait for another thread.
    fn update(&mut self, bytes: &[u8]);

    /// The digest of all bytes. May wait for another thread.
    fn finish(self: Box<Self>) -> Sha256Hex;
}

/// A running digest, whoever computes it.
pub type BoxedDigest = Box<dyn Digesting>;

/// Takes a digest over, to compute the rest of it on another thread, or gives it back where there is none to spare.
#[derive(Clone, Copy)]
pub struct Beside(pub fn(BoxedDigest) -> Result<BoxedDigest, BoxedDigest>);

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Beside")
    }
}

/// A running digest that goes beside once it is long. `D` computes it where the bytes are.
pub struct LongDigest<D> {
    place: Place<D>,
    bytes: u64,
}

enum Place<D> {
    Here(D),
    /// It was offered once, and is wherever it was put.
    Offered(BoxedDigest),
}

impl<D: Default> Default for LongDigest<D> {
    fn default() -> Self {
        Self { place: Place::Here(D::default()), bytes: 0 }
    }
}

impl<D: Digesting + Default + 'static> LongDigest<D> {
    /// Takes the bytes that come next; a long digest is offered to `beside` first, once.
    pub fn update(&mut self, bytes: &[u8], beside: Option<Beside>) {
        self.bytes += bytes.len() as u64;
        match &mut self.place {
            Place::Here(digest) => {
                digest.update(bytes);
                if self.bytes >= LONG_BYTES
                    && let Some(Beside(offer)) = beside
                {
                    let digest = Box::new(std::mem::take(digest));
                    self.place = Place::Offered(offer(digest).unwrap_or_else(|kept| kept));
                }
            }
            Place::Offered(digest) => digest.update(bytes),
        }
    }

    /// Bytes covered so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Sha256Hex {
        match self.place {
            Place::Here(digest) => Box::new(digest).finish(),
            Place::Offered(digest) => digest.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts bytes in place of digesting them.
    #[derive(Default)]
    struct Sum(u64);

    impl Digesting for Sum {
        fn update(&mut self, bytes: &[u8]) {
            self.0 += bytes.len() as u64;
        }

        fn finish(self: Box<Self>) -> Sha256Hex {
            let mut out = [0; 32];
            out[..8].copy_from_slice(&self.0.to_le_bytes());
            Sha256Hex(out)
        }
    }

    /// Tells that it was beside.
    struct Marked(BoxedDigest);

    impl Digesting for Marked {
        fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(self: Box<Self>) -> Sha256Hex {
            let mut out = self.0.finish();
            out.0[31] = 1;
            out
        }
    }

    fn digest(pieces: usize, beside: Option<Beside>) -> (u64, u8) {
        let mut digest = LongDigest::<Sum>::default();
        for _ in 0..pieces {
            digest.update(&[0; 1 << 20], beside);
        }
        assert_eq!(digest.bytes(), (pieces as u64) << 20);
        let Sha256Hex(out) = digest.finish();
        (u64::from_le_bytes(out[..8].try_into().unwrap()) >> 20, out[31])
    }

    #[test]
    fn what_is_long_goes_beside_with_all_that_came_before() {
        let taken = Some(Beside(|digest| Ok(Box::new(Marked(digest)))));
        assert_eq!(digest(3, taken), (3, 0), "short");
        assert_eq!(digest(4, taken), (4, 1));
        assert_eq!(digest(9, taken), (9, 1));
    }

    #[test]
    fn what_nobody_takes_stays() {
        assert_eq!(digest(9, Some(Beside(Err))), (9, 0));
        assert_eq!(digest(9, None), (9, 0));
        assert_eq!(digest(0, None), (0, 0));
    }
}
