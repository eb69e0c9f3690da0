//! Saying hello within the request that asks for the WebSocket.
//!
//! A home knows what its Hello will say before it dials. Said in a header of the request, it costs neither a segment of its own nor a
//! wait for the upgrade, and Welcome can come in one segment with the upgrade's answer. A relay that has taken it says so with
//! [`TAKEN`]; from one that does not, such as one that does not know the header, the home must not expect it, and says hello in a frame.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::frame::{FromConnector, Hello};

/// The header of request and answer, in lower case.
pub const HELLO_HEADER: &str = "link-hello";

/// Its value in the answer of a relay that has taken the Hello: it awaits no frame of that kind any more.
pub const TAKEN: &str = "taken";

/// Longest value in a request, in characters. Ours have about 100; what later versions add has room.
pub const MAX_VALUE: usize = 512;

impl Hello {
    /// The value of [`HELLO_HEADER`]: the frame in base64url.
    #[must_use]
    pub fn to_header(self) -> String {
        URL_SAFE_NO_PAD.encode(FromConnector::Hello(self).encode())
    }

    /// Read that value. None when it is not a Hello within bounds.
    #[must_use]
    pub fn from_header(value: &str) -> Option<Self> {
        if value.len() > MAX_VALUE {
            return None;
        }
        match FromConnector::decode(URL_SAFE_NO_PAD.decode(value).ok()?.into()) {
            Ok(FromConnector::Hello(hello)) => Some(hello),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_hello_is_taken() {
        let hello = Hello { version_min: 1, version_max: 1, install_id: [7; 16], software: "test".into(), credit: 1 };
        assert_eq!(Hello::from_header(&hello.clone().to_header()), Some(hello.clone()));
        assert_eq!(Hello::from_header(""), None);
        assert_eq!(Hello::from_header(&format!("{}=", hello.to_header())), None);
        let credit = URL_SAFE_NO_PAD.encode(FromConnector::Credit(1).encode());
        assert_eq!(Hello::from_header(&credit), None);
        let short = URL_SAFE_NO_PAD.encode(Bytes::from_static(&[0x0a, 0x02, 0x08, 0x01]));
        assert_eq!(Hello::from_header(&short), None, "it names no installation");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(value in ".{0,600}") {
            if let Some(hello) = Hello::from_header(&value) {
                prop_assert_eq!(Hello::from_header(&hello.clone().to_header()), Some(hello));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some(hello) = Hello::from_header(&URL_SAFE_NO_PAD.encode(&bytes)) {
                prop_assert!(bytes.len() <= MAX_VALUE / 4 * 3);
                prop_assert_eq!(Hello::from_header(&hello.clone().to_header()), Some(hello));
            }
        }

        #[test]
        fn what_a_home_says_fits(install_id: [u8; 16], software in "[ -~]{0,64}", credit in 0..=super::super::frame::MAX_CREDIT) {
            let hello = Hello { version_min: u32::MAX, version_max: u32::MAX, install_id, software, credit };
            prop_assert_eq!(Hello::from_header(&hello.clone().to_header()), Some(hello));
        }
    }
}
