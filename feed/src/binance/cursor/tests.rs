//! What can be read from a few bytes, as tables and against slower readers.

use super::*;

#[test]
fn integers_are_read_as_json_writes_them() {
    let table: &[(&str, Option<u64>)] = &[
        ("0,", Some(0)),
        ("7", Some(7)),
        ("1234567,", Some(1_234_567)),
        ("12345678,", Some(12_345_678)),
        ("12345678", Some(12_345_678)),
        ("123456789}", Some(123_456_789)),
        ("11757092630476,", Some(11_757_092_630_476)),
        ("123456789012345,", Some(123_456_789_012_345)),
        ("1234567890123456,", Some(1_234_567_890_123_456)),
        ("12345678901234567}", Some(12_345_678_901_234_567)),
        ("18446744073709551615}", Some(u64::MAX)),
        ("18446744073709551616}", None),
        ("01,", None),
        ("00000000,", None),
        ("0000000000000", None),
        ("-1,", None),
        ("x", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(Cursor::new(text.as_bytes()).integer(), *expected, "{text}");
    }
}

#[test]
fn strings_end_at_their_quote_and_hold_no_surprise() {
    let table: &[(&str, Option<&str>)] = &[
        ("\"", Some("")),
        ("BTCUSDT\",", Some("BTCUSDT")),
        ("btcusdt@depth@100ms\":", Some("btcusdt@depth@100ms")),
        ("12345678\"", Some("12345678")),
        ("币安人生USDT\",", Some("币安人生USDT")),
        ("a\u{7f}b\"", Some("a\u{7f}b")),
        ("a\\n\"", None),
        ("币\\n\"", None),
        ("币\n\"", None),
        ("a\tb\"", None),
        ("no end", None),
        ("12345678", None),
        ("", None),
    ];
    for (text, expected) in table {
        assert_eq!(Cursor::new(text.as_bytes()).string(), expected.map(str::as_bytes), "{text}");
    }
    assert_eq!(Cursor::new(b"\xff\xfe\"").string(), None, "not UTF-8");
}

#[test]
fn keys_are_matched_whole() {
    let key = |text: &str| Cursor::new(text.as_bytes()).key().filter(|&key| is_plain(key));
    assert_eq!(key("\"q\":"), Some(u16::from(b'q')));
    assert_eq!(key("\"nq\":"), Some(two(b'n', b'q')));
    assert_eq!(key("\"lastUpdateId\":1"), Some(LONG_KEY));
    for broken in [
        "q\":",
        "\"q\"",
        "\"\\\":",
        "\"\"\":",
        "\"\\\"\":",
        "\"\\q\":",
        "\"q\\\":",
        "\"\0\":",
        "\"\0q\":",
        "\"abc\"",
        "",
    ] {
        assert_eq!(key(broken), None, "{broken}");
    }
    assert_eq!(key("\"\":"), Some(LONG_KEY), "an empty key is a key of no interest");
}

#[test]
fn the_last_bytes_are_followed_by_zeros() {
    for len in 0..=9 {
        let bytes = &b"123456789"[..len];
        let mut padded = [0; 8];
        padded[..len.min(8)].copy_from_slice(&bytes[..len.min(8)]);
        assert_eq!(word(bytes), u64::from_le_bytes(padded));
    }
}

proptest::proptest! {
    #[test]
    fn decimals_agree_with_the_general_reader(text in "-?[0-9]{0,12}\\.?[0-9]{0,10}", tail in "[\",\\]}0-9.]{0,9}") {
        let message = format!("{text}\"{tail}");
        let mut cursor = Cursor::new(message.as_bytes());
        let read = cursor.decimal().filter(|_| cursor.literal(b"\"").is_some());
        proptest::prop_assert_eq!(read, decimal::parse(text.as_bytes()).ok());
    }

    #[test]
    fn integers_agree_with_the_standard_library(value: u64, shift in 0u32..64, tail in "[,}\\]]{1,9}") {
        let value = value >> shift;
        let message = format!("{value}{tail}");
        let mut cursor = Cursor::new(message.as_bytes());
        proptest::prop_assert_eq!(cursor.integer(), Some(value));
        proptest::prop_assert!(cursor.literal(tail.as_bytes()).is_some());
    }
}
