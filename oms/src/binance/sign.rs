//! API keys and signatures; the only module that sees a secret.
//!
//! HMAC keys sign every request from a prepared state; Ed25519 keys sign the logon of a session and REST calls.
//! Secrets come from files that only their owner may read, are wiped from the read buffer, and never reach `Debug`,
//! an error text or a log. Built at start; used on the oms and control threads.

use std::fmt;
use std::path::Path;

use arrayvec::ArrayString;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use optiflow_base::ids::hex8;
use optiflow_base::secret::Secret;
use ring::signature::Ed25519KeyPair;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::OmsError;

/// A key that the exchange accepts, ready to sign.
pub enum ApiKey {
    /// A shared secret; every request is signed.
    Hmac(HmacKey),
    /// A private key; a session is signed once.
    Ed25519(Ed25519Key),
}

/// API key and keyed HMAC-SHA256 state.
pub struct HmacKey {
    id: KeyId,
    state: Hmac<Sha256>,
}

/// API key and Ed25519 key pair.
pub struct Ed25519Key {
    id: KeyId,
    pair: Ed25519KeyPair,
}

/// HMAC state that has already absorbed the constant beginning of a payload.
#[derive(Clone)]
pub struct Prepared(Hmac<Sha256>);

/// A signature as the exchange wants to read it: 64 hex digits, or 88 characters of base64.
pub type Signature = ArrayString<88>;

impl ApiKey {
    /// A key with a shared secret.
    pub fn hmac(id: &str, secret: &Secret) -> Result<ApiKey, OmsError> {
        let id = checked_id(id).map_err(|reason| bad_key(Path::new(""), reason))?;
        hmac_key(id, secret).map_err(|reason| bad_key(Path::new(""), reason))
    }

    /// A key with an Ed25519 private key in PKCS#8, as PEM text or DER bytes.
    pub fn ed25519(id: &str, private: &Secret) -> Result<ApiKey, OmsError> {
        let id = checked_id(id).map_err(|reason| bad_key(Path::new(""), reason))?;
        ed25519_key(id, private).map_err(|reason| bad_key(Path::new(""), reason))
    }

    /// Reads the API key from one file and its secret from another: PEM or DER means Ed25519, any other text HMAC.
    pub fn from_files(id_file: &Path, secret_file: &Path) -> Result<ApiKey, OmsError> {
        let id = read_private(id_file)?;
        let id = std::str::from_utf8(id.reveal()).map_or("", str::trim);
        let id = checked_id(id).map_err(|reason| bad_key(id_file, reason))?;
        let secret = read_private(secret_file)?;
        let bytes = secret.reveal();
        let is_text = bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        let made = if bytes.starts_with(PEM_BEGIN) || !is_text {
            ed25519_key(id, &secret)
        } else {
            hmac_key(id, &Secret::new(bytes.trim_ascii().to_vec()))
        };
        made.map_err(|reason| bad_key(secret_file, reason))
    }

    /// The public half: what `X-MBX-APIKEY` carries.
    pub fn id(&self) -> &str {
        match self {
            ApiKey::Hmac(key) => &key.id,
            ApiKey::Ed25519(key) => &key.id,
        }
    }

    /// Does `session.logon` work with it? Only Ed25519 keys do that.
    pub const fn has_session(&self) -> bool {
        match self {
            ApiKey::Hmac(_) => false,
            ApiKey::Ed25519(_) => true,
        }
    }

    /// Signs `payload`.
    pub fn sign(&self, payload: &[u8]) -> Signature {
        match self {
            ApiKey::Hmac(key) => ascii(&Prepared(key.state.clone()).sign(payload)),
            ApiKey::Ed25519(key) => {
                let mut text = [0; 88];
                let signed = key.pair.sign(payload);
                let written = BASE64.encode_slice(signed.as_ref(), &mut text).unwrap_or(0);
                assert!(written == text.len(), "64 bytes are 88 characters of base64");
                ascii(&text)
            }
        }
    }

    /// HMAC state after the constant `prefix`; `None` for keys that do not sign every request.
    pub fn prepare(&self, prefix: &[u8]) -> Option<Prepared> {
        match self {
            ApiKey::Hmac(key) => {
                let mut state = key.state.clone();
                state.update(prefix);
                Some(Prepared(state))
            }
            ApiKey::Ed25519(_) => None,
        }
    }
}

impl Prepared {
    /// Signs prefix + `rest`, in lower-case hex.
    pub fn sign(&self, rest: &[u8]) -> [u8; HMAC_TEXT_LEN] {
        let mut state = self.0.clone();
        state.update(rest);
        let digest = state.finalize().into_bytes();
        let mut text = [0; HMAC_TEXT_LEN];
        for (eight, four) in text.as_chunks_mut::<8>().0.iter_mut().zip(digest.as_chunks::<4>().0) {
            *eight = hex8(u32::from_be_bytes(*four));
        }
        text
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ApiKey::Hmac(_) => "ApiKey(HMAC, ***)",
            ApiKey::Ed25519(_) => "ApiKey(Ed25519, ***)",
        })
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared(***)")
    }
}

fn hmac_key(id: KeyId, secret: &Secret) -> Result<ApiKey, &'static str> {
    if secret.reveal().is_empty() {
        return Err("the secret is empty");
    }
    let state = Hmac::new_from_slice(secret.reveal()).map_err(|_| "the secret cannot be used")?;
    Ok(ApiKey::Hmac(HmacKey { id, state }))
}

fn ed25519_key(id: KeyId, private: &Secret) -> Result<ApiKey, &'static str> {
    let der = match pem_body(private.reveal()) {
        Some(body) => Zeroizing::new(BASE64.decode(&*body).map_err(|_| "the PEM text is not base64")?),
        None => Zeroizing::new(private.reveal().to_vec()),
    };
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| "not an Ed25519 private key in PKCS#8")?;
    Ok(ApiKey::Ed25519(Ed25519Key { id, pair }))
}

/// Reads a file that nobody but its owner may touch.
fn read_private(path: &Path) -> Result<Secret, OmsError> {
    let failed = |source| OmsError::KeyFile { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(OmsError::KeyFileExposed { path: path.to_owned(), mode });
        }
    }
    if metadata.len() > KEY_FILE_LEN_MAX {
        return Err(bad_key(path, "the file is too large for a key"));
    }
    // Sized once, so that growing leaves no copy of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_LEN_MAX as usize + 1));
    let mut limited = std::io::Read::take(&mut file, KEY_FILE_LEN_MAX);
    std::io::Read::read_to_end(&mut limited, &mut bytes).map_err(failed)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// The base64 between the PEM lines; `None` when it is no PEM text.
fn pem_body(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let inner = text.strip_prefix("-----BEGIN PRIVATE KEY-----")?.strip_suffix("-----END PRIVATE KEY-----")?;
    Some(Zeroizing::new(inner.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect()))
}

fn checked_id(id: &str) -> Result<KeyId, &'static str> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    ArrayString::from(id).ok().filter(|_| plain).ok_or("the API key is not 1 to 128 letters, digits, - and _")
}

fn ascii(text: &[u8]) -> Signature {
    // Hex digits and base64 are ASCII; anything else would sign nothing.
    let text = std::str::from_utf8(text).unwrap_or_default();
    Signature::from(text).unwrap_or_default()
}

fn bad_key(path: &Path, reason: &'static str) -> OmsError {
    OmsError::KeyFormat { path: path.to_owned(), reason }
}

type KeyId = ArrayString<ID_LEN_MAX>;

/// Characters of an HMAC signature.
pub const HMAC_TEXT_LEN: usize = 64;
const PEM_BEGIN: &[u8] = b"-----BEGIN";
/// Longest API key accepted (Binance's have 64 characters).
const ID_LEN_MAX: usize = 128;
/// Largest key file accepted, bytes.
const KEY_FILE_LEN_MAX: u64 = 16 * 1024;

#[cfg(test)]
mod tests;
