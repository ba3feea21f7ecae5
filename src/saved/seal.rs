//! The digest behind a saved plan, made while the plan is written.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::model::digest::hex;

use super::{DIGEST, END};

/// A writer of the JSON of a document, indented, that hands it on with its digest.
pub struct Seal<W> {
    inner: W,
    hash: Sha256,
    /// What the JSON ends with, should nothing follow it: the digest comes in front of that.
    end: Vec<u8>,
}

impl<W: Write> Seal<W> {
    /// Seals what is written to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new(), end: Vec::new() }
    }

    /// The writer behind it, which has the whole file.
    ///
    /// # Errors
    ///
    /// When the digest cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        let digest = hex(&self.hash.finalize());
        write!(self.inner, "{DIGEST}{digest}{END}")?;
        Ok(self.inner)
    }

    fn hand_on(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<W: Write> Write for Seal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_of_end = |byte: &u8| matches!(byte, b'}' | b'\n');
        let (body, end) = match bytes.iter().rposition(|byte| !is_of_end(byte)) {
            Some(last) => bytes.split_at(last + 1),
            None => (&[][..], bytes),
        };
        if !body.is_empty() {
            let end = std::mem::take(&mut self.end);
            self.hand_on(&end)?;
            self.hand_on(body)?;
        }
        self.end.extend_from_slice(end);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::model::digest::sha256;

    proptest! {
        #[test]
        fn the_digest_is_of_what_is_before_the_last_brackets_however_it_is_cut_into_writes(
            parts in vec(select(vec!["{", "}", "\n", "}\n}", "ab", "\n  \"x\": {}", ""]), 0..20),
        ) {
            let mut sealed = Seal::new(Vec::new());
            for part in &parts {
                sealed.write_all(part.as_bytes()).unwrap();
            }
            let whole = parts.concat();
            let body = whole.trim_end_matches(['}', '\n']);
            let expected = format!("{body}{DIGEST}{}{END}", sha256(body.as_bytes()));
            prop_assert_eq!(String::from_utf8(sealed.finish().unwrap()).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_written_is_no_file() {
        let mut small = [0; 40];
        let mut sealed = Seal::new(&mut small[..]);
        sealed.write_all(b"{ this and").unwrap();
        assert!(sealed.finish().is_err(), "the digest has no room");
    }
}
