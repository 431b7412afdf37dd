//! The end of a certificate's validity, and nothing else of it: a strict walk over the few fields before it
//! (RFC 5280, section 4.1), since a whole X.509 parser would be the largest part of this target.

use std::ops::RangeInclusive;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT Version`, left out by version 1.
const VERSION: u8 = 0xa0;

/// Returns from when to when a certificate is valid, in seconds since 1970; `None` where it is not one.
pub(super) fn validity(certificate: &[u8]) -> Option<RangeInclusive<i64>> {
    let mut signed = Der(Der(Der(certificate).expect(SEQUENCE)?).expect(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.expect(VERSION)?;
    }
    signed.expect(INTEGER)?;
    signed.expect(SEQUENCE)?;
    signed.expect(SEQUENCE)?;
    let mut validity = Der(signed.expect(SEQUENCE)?);
    Some(time(validity.next()?)?..=time(validity.next()?)?)
}

/// The rest of a run of DER elements.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Returns the next element: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk::<2>()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            // More than four bytes of length, or an indefinite one, stand in no certificate.
            0x81..=0x84 => {
                let (digits, tail) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = tail;
                digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit))
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|&(found, _)| found == tag).map(|(_, content)| content)
    }
}

/// Reads `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`; RFC 5280 allows no other form.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let digits = text.strip_suffix(b"Z").filter(|text| text.iter().all(u8::is_ascii_digit))?;
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = (number(&digits[..2]), &digits[2..]);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
        _ => return None,
    };
    let mut pairs = rest.chunks(2).map(number);
    let mut next = |allowed: RangeInclusive<i64>| pairs.next().filter(|n| allowed.contains(n));
    let (month, day) = (next(1..=12)?, next(1..=31)?);
    let (hour, minute, second) = (next(0..=23)?, next(0..=59)?, next(0..=60)?);
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |number, &digit| number * 10 + i64::from(digit - b'0'))
}

/// Days from 1970-01-01 to a date in the Gregorian calendar; years begin in March here, so that a leap day
/// comes last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    of_years + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn dates_in_both_forms() {
        let utc = |text: &str| time((UTC_TIME, text.as_bytes()));
        let general = |text: &str| time((GENERALIZED_TIME, text.as_bytes()));
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("491231235959Z"), Some(2_524_607_999));
        assert_eq!(utc("500101000000Z"), Some(-631_152_000));
        assert_eq!(general("20240229120000Z"), Some(1_709_208_000));
        assert_eq!(general("20000301000000Z"), Some(951_868_800));
        assert_eq!(general("99991231235959Z"), Some(253_402_300_799));
        for wrong in
            ["", "Z", "7001010000Z", "700101000000", "701301000000Z", "700100000000Z", "700101240000Z"]
        {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
        assert_eq!(general("700101000000Z"), None);
    }

    #[test]
    fn certificates_of_several_kinds() {
        for algorithm in
            [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519]
        {
            for (year, end) in [(2049, 2_493_072_000), (2050, 2_524_608_000), (1999, 915_148_800)] {
                let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
                params.not_before = date_time_ymd(1990, 1, 1);
                params.not_after = date_time_ymd(year, 1, 1);
                let key = KeyPair::generate_for(algorithm).unwrap();
                let certificate = params.self_signed(&key).unwrap();
                assert_eq!(validity(certificate.der()), Some(631_152_000..=end), "{year}");
            }
        }
    }

    /// RSA, version 1, a long issuer, made with `openssl x509 -req -set_serial 0x00ff…`.
    #[test]
    fn a_certificate_of_version_1() {
        let der = include_bytes!("../../../../tests/fixtures/version-1.der");
        assert_eq!(validity(der), Some(1_700_000_000..=4_000_000_000));
        for length in 0..100 {
            assert_eq!(validity(&der[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = validity(&bytes);
        }

        #[test]
        fn no_damage_panics(place in 0..300_usize, byte: u8) {
            let mut der = include_bytes!("../../../../tests/fixtures/version-1.der").to_vec();
            der[place] = byte;
            let _ = validity(&der);
        }
    }
}
