//! The test keys of an exchange: the same for the same seed, so that a restarted exchange knows its clients, and its
//! clients trust it again.
//!
//! They open nothing but the simulated exchange, and are no secret from whoever can see its seed.

use optiflow_base::secret::Secret;
use optiflow_sim::binance::auth::Keys;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::ExchangeError;

/// The account's keys with their private halves, and the key of the certificate authority.
pub struct TestKeys {
    /// Names both keys: a signature shows by its form which of them made it.
    pub api_key: String,
    pub api_secret: String,
    pub ed25519_pem: String,
    pub authority: KeyPair,
    ed25519_public: [u8; 32],
}

/// Makes the keys of `seed`.
pub fn make(seed: u64) -> Result<TestKeys, ExchangeError> {
    let mut random = fastrand::Rng::with_seed(seed ^ KEYS_SALT);
    let mut name = || -> String { (0..NAME_LEN).map(|_| random.alphanumeric()).collect() };
    let (api_key, api_secret) = (name(), name());
    let (ed25519, authority) = (ed25519(&mut random)?, ed25519(&mut random)?);
    let public = ed25519.der_bytes().try_into();
    let ed25519_public = public.map_err(|_| ExchangeError::Certificate("an Ed25519 key has 32 bytes".into()))?;
    let ed25519_pem = ed25519.serialize_pem();
    Ok(TestKeys { api_key, api_secret, ed25519_pem, authority, ed25519_public })
}

/// The key pair that this randomness makes.
pub fn ed25519(random: &mut fastrand::Rng) -> Result<KeyPair, ExchangeError> {
    let mut private = [0; 32];
    random.fill(&mut private);
    let der = PrivatePkcs8KeyDer::from([&PKCS8_ED25519_HEAD[..], &private].concat());
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519);
    pair.map_err(|error| ExchangeError::Certificate(error.to_string()))
}

impl TestKeys {
    /// As the exchange checks them.
    pub fn to_sim(&self) -> Keys {
        Keys {
            api_key: self.api_key.clone(),
            api_secret: Secret::new(self.api_secret.as_bytes().to_vec()),
            ed25519_api_key: self.api_key.clone(),
            ed25519_public_key: self.ed25519_public,
        }
    }
}

/// Keeps the keys apart from whatever else the exchange makes up from the same seed, such as client order ids.
const KEYS_SALT: u64 = 0x6b65_7973;
/// Length of key names and secrets, as Binance has them.
const NAME_LEN: usize = 64;
/// What precedes the 32 private bytes in PKCS#8 version 1, the form that `openssl genpkey` writes.
const PKCS8_ED25519_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_from_the_seed() {
        let (first, again, other) = (make(7).unwrap(), make(7).unwrap(), make(8).unwrap());
        assert_eq!((&first.api_key, &first.ed25519_pem), (&again.api_key, &again.ed25519_pem));
        assert_ne!(first.api_key, other.api_key);
        assert_ne!(first.ed25519_pem, other.ed25519_pem);
        assert_eq!(first.authority.serialize_der(), again.authority.serialize_der());
        assert_ne!(first.authority.serialize_pem(), first.ed25519_pem);
        assert!(first.ed25519_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(first.api_key.len(), 64);
    }
}
