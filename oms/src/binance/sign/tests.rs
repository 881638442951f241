//! Known vectors, key files and their permissions, and a canary that must never be seen.

use std::io::Write as _;

use super::*;
use crate::binance::samples;

/// Made for these tests: a PKCS#8 Ed25519 key around the seed of the shared signing vectors.
fn pkcs8(seed: &[u8]) -> Vec<u8> {
    let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend_from_slice(seed);
    der
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64.encode(der))
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_published_example_is_signed_as_published() {
    let key = ApiKey::hmac("key", &secret("2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9")).unwrap();
    let payload = b"symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000&timestamp=1591702613943";
    let expected = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9";
    assert_eq!(key.sign(payload).as_str(), expected);
    for cut in [0, 7, 64, payload.len()] {
        let prepared = key.prepare(&payload[..cut]).unwrap();
        assert_eq!(prepared.sign(&payload[cut..]), expected.as_bytes(), "absorbing {cut} bytes beforehand");
    }
}

#[test]
fn shared_signing_vectors_hold() {
    let Some(vectors) = samples::message("signing-vectors.json") else { return };
    let vectors: serde_json::Value = serde_json::from_str(&vectors).unwrap();
    let id = vectors["apiKey"].as_str().unwrap();
    let hmac = ApiKey::hmac(id, &secret(vectors["hmacSecret"].as_str().unwrap())).unwrap();
    let der = pkcs8(&unhex(vectors["ed25519SeedHex"].as_str().unwrap()));
    let ed25519 = ApiKey::ed25519(id, &secret(&pem(&der))).unwrap();
    let from_der = ApiKey::ed25519(id, &Secret::new(der)).unwrap();
    let mut checked = 0;
    for vector in vectors["vectors"].as_array().unwrap().iter().filter(|vector| vector["secret"].is_null()) {
        let (kind, payload) = (vector["kind"].as_str().unwrap(), vector["payload"].as_str().unwrap().as_bytes());
        let key = if kind.contains("ed25519") { &ed25519 } else { &hmac };
        assert_eq!(Some(key.sign(payload).as_str()), vector["signature"].as_str(), "{kind}");
        if key.has_session() {
            assert_eq!(from_der.sign(payload), key.sign(payload), "{kind}");
        }
        checked += 1;
    }
    assert_eq!(checked, 12);
}

#[cfg(unix)]
#[test]
fn keys_are_read_from_private_files_only_and_are_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("optiflow-oms-keys-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, content: &[u8], mode: u32| {
        let path = folder.join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(content).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let canary = "CANARYcanaryCANARYcanary0123456789";
    let id = write("id", b"  myApiKey123 \n", 0o600);
    let bad_id = write("bad-id", b"two words", 0o600);
    let hmac = write("hmac", format!("{canary}\n").as_bytes(), 0o600);
    let open = write("open", canary.as_bytes(), 0o640);
    let seed: Vec<u8> = (0..32).collect();
    let ed_pem = write("pem", pem(&pkcs8(&seed)).as_bytes(), 0o400);
    let ed_der = write("der", &pkcs8(&seed), 0o600);
    let broken =
        write("broken", format!("-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----").as_bytes(), 0o600);
    let rsa = write("rsa", b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", 0o600);
    let empty = write("empty", b"\n", 0o600);
    let large = write("large", &vec![b'x'; 20_000], 0o600);

    let key = ApiKey::from_files(&id, &hmac).unwrap();
    assert_eq!((key.id(), key.has_session()), ("myApiKey123", false));
    assert_eq!(key.sign(b"x"), ApiKey::hmac("k", &secret(canary)).unwrap().sign(b"x"), "white space is no part of it");
    assert_eq!(format!("{key:?} {:?}", key.prepare(b"")), "ApiKey(HMAC, ***) Some(Prepared(***))");
    let from_pem = ApiKey::from_files(&id, &ed_pem).unwrap();
    let from_der = ApiKey::from_files(&id, &ed_der).unwrap();
    assert!(from_pem.has_session() && from_pem.prepare(b"").is_none());
    assert_eq!(from_pem.sign(b"x"), from_der.sign(b"x"));
    assert_eq!(format!("{from_pem:?}"), "ApiKey(Ed25519, ***)");

    let table = [
        (&id, &open, "may be read or changed by others (mode 0640); run: chmod 600"),
        (&open, &hmac, "may be read or changed by others"),
        (&bad_id, &hmac, "the API key is not 1 to 128 letters, digits, - and _"),
        (&id, &broken, "the PEM text is not base64"),
        (&id, &rsa, "not an Ed25519 private key"),
        (&id, &empty, "the secret is empty"),
        (&id, &large, "too large"),
        (&id, &folder.join("absent"), "absent"),
    ];
    for (id, secret, expected) in table {
        let error = ApiKey::from_files(id, secret).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected), "{shown}");
        assert!(!shown.contains(canary) && !shown.contains("CANARY"), "{shown}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
