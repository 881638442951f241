//! The certificate that the exchange shows, and the authority that its clients have to trust.
//!
//! The authority follows from the seed: a client that trusts an exchange trusts it again after a restart. Whoever knows
//! the seed could sign with it, so it is constrained to loopback: no other name is ever believed on its word.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ExchangeError;

/// What a TLS server needs, and whom its clients have to trust.
pub struct Certified {
    pub ca_pem: String,
    pub server: Arc<ServerConfig>,
}

/// Makes a certificate that the authority with this key has signed, for the server with the other one.
pub fn make(authority_key: &KeyPair, server_key: &KeyPair) -> Result<Certified, ExchangeError> {
    let ca = authority();
    let ca_certificate = ca.self_signed(authority_key).map_err(refused)?;
    let issuer = Issuer::new(ca, authority_key);
    let leaf = leaf()?.signed_by(server_key, &issuer).map_err(refused)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .map_err(refused)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certified { ca_pem: ca_certificate.pem(), server: Arc::new(server) })
}

fn authority() -> CertificateParams {
    let mut ca = CertificateParams::default();
    ca.distinguished_name = named("OptiFlow simulated exchange: test CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let loopback = vec![
        GeneralSubtree::DnsName("localhost".to_owned()),
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv4Addr::LOCALHOST.into(), 32)),
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv6Addr::LOCALHOST.into(), 128)),
    ];
    ca.name_constraints = Some(NameConstraints { permitted_subtrees: loopback, excluded_subtrees: Vec::new() });
    (ca.not_before, ca.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 12, 31));
    ca
}

fn leaf() -> Result<CertificateParams, ExchangeError> {
    let names = NAMES.map(str::to_owned).to_vec();
    let mut leaf = CertificateParams::new(names).map_err(refused)?;
    leaf.distinguished_name = named("localhost");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // Strict clients insist on it.
    leaf.use_authority_key_identifier_extension = true;
    (leaf.not_before, leaf.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 12, 31));
    Ok(leaf)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn refused(error: impl std::fmt::Display) -> ExchangeError {
    ExchangeError::Certificate(error.to_string())
}

/// Names and addresses that the certificate is good for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
