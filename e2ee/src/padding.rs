//! Padding to a few sizes, so that the length of a sealed message does not tell "pause" from "play … by …".
//!
//! Padded form: the body's length (2 bytes, big-endian), the body, zeros up to the bucket. What remains visible is
//! which of [`BUCKETS`] was needed.

use macloud_proto::MAX_SEALED_BYTES;

use crate::secret::Secret;

/// The sizes a padded plaintext can have. The last leaves room for the envelope around it within one link frame.
pub(crate) const BUCKETS: [usize; 5] = [256, 1024, 4096, 16_384, MAX_SEALED_BYTES - 64];

/// The longest body that can be padded.
pub(crate) const MAX_BODY: usize = BUCKETS[BUCKETS.len() - 1] - LENGTH;

/// The longest body of an event: of the sizes, the largest that an event of the link can have.
pub(crate) const MAX_EVENT_BODY: usize = BUCKETS[2] - LENGTH;

const LENGTH: usize = 2;

/// `body` padded, or nothing if it is longer than [`MAX_BODY`]. `room` more bytes are reserved behind it.
pub(crate) fn pad(body: &[u8], room: usize) -> Option<Secret> {
    let length = u16::try_from(body.len()).ok()?;
    let bucket = *BUCKETS.iter().find(|bucket| **bucket >= body.len() + LENGTH)?;
    // Reserved at once: growing later would leave an unerased copy behind.
    let mut padded = Secret::new(Vec::with_capacity(bucket + room));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(body);
    padded.resize(bucket, 0);
    Some(padded)
}

/// The body of `padded`, or nothing if its size is no bucket, its length does not fit or its padding is not zero.
pub(crate) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    if !BUCKETS.contains(&padded.len()) {
        return None;
    }
    let (length, rest) = padded.split_first_chunk::<LENGTH>()?;
    let (body, zeros) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    // Without a way out of the middle, many bytes are looked at together.
    (zeros.iter().fold(0, |set, byte| set | byte) == 0).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_padded_comes_back_and_has_a_bucket_size() {
        for length in [0, 1, 253, 254, 255, 1022, 1023, 4094, 4095, 16_382, 16_383, MAX_BODY] {
            let body = vec![7; length];
            let padded = pad(&body, 0).unwrap();
            assert!(BUCKETS.contains(&padded.len()), "{length}");
            assert_eq!(unpad(&padded), Some(&body[..]));
        }
        assert!(pad(&vec![0; MAX_BODY + 1], 0).is_none());
        assert!(pad(&vec![0; 70_000], 0).is_none());
    }

    #[test]
    fn the_smallest_bucket_that_fits_is_taken() {
        assert_eq!(pad(&[1; 254], 0).unwrap().len(), 256);
        assert_eq!(pad(&[1; 255], 0).unwrap().len(), 1024);
    }

    #[test]
    fn other_padding_is_refused() {
        let mut padded = pad(b"body", 0).unwrap().to_vec();
        padded[255] = 1;
        assert_eq!(unpad(&padded), None, "padding that is not zero");
        padded[255] = 0;
        padded[0] = 1;
        assert_eq!(unpad(&padded), None, "a length beyond the bucket");
        assert_eq!(unpad(&[0; 255]), None, "a size that is no bucket");
        assert_eq!(unpad(&[]), None);
    }
}
