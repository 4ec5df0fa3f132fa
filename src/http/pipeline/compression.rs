//! Whether a response may be compressed.

use axum::http::{HeaderMap, header};

/// Returns whether a response may have `content-encoding: gzip`. RFC 9110, section 12.5.3.
pub(in crate::http) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let accepted = codings.flat_map(|value| value.split(',')).map(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start_matches('=');
        (coding.trim(), !weight.parse().is_ok_and(|weight: f32| weight == 0.0))
    });
    let (mut named, mut any) = (None, false);
    for (coding, is_accepted) in accepted {
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            named = Some(is_accepted);
        } else if coding == "*" {
            any = is_accepted;
        }
    }
    named.unwrap_or(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_negotiated() {
        let accepts = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, text.parse().unwrap());
            accepts_gzip(&headers)
        };
        for yes in ["gzip", "GZIP", "br, gzip;q=0.5", "*", "*;q=0.1", "identity;q=0, gzip", "*;q=0, gzip"] {
            assert!(accepts(yes), "{yes}");
        }
        for no in ["", "identity", "br", "gzip;q=0", "gzip;q=0.000, *", "identity;q=0", "*;q=0", "br;q=1"] {
            assert!(!accepts(no), "{no}");
        }
    }
}
