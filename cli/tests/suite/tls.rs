//! `admit` over TLS: it trusts the certificates of this machine, or those that the environment names.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivateKeyDer};

use crate::bench::{Bench, Ended, catalogue};

/// An origin whose certificate is from a private CA.
struct Origin {
    address: SocketAddr,
    /// The CA's certificate, in PEM form.
    ca: String,
}

impl Origin {
    /// Starts an origin that answers every request with `export`.
    fn start(export: String) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let config = Arc::new(config);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                // A client that does not trust the certificate goes away.
                let _ended = answer(StreamOwned::new(connection, stream.unwrap()), &export);
            }
        });
        Self { address, ca: ca_pem }
    }
}

fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>, export: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let length = export.len();
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{export}")?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Reads the export of `origin`, trusting the certificates in the file `trusted`.
fn read(bench: &Bench, origin: &Origin, trusted: Option<&str>) -> Ended {
    let url = format!("https://{}/export", origin.address);
    let mut command = bench.command(&["publish", "--from", &url, "--dry-run"]);
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command.envs(trusted.map(|file| ("SSL_CERT_FILE", file)));
    command.output().unwrap().into()
}

#[test]
fn a_private_ca_is_trusted_if_the_environment_names_it() {
    let bench = Bench::new("private_ca");
    let origin = Origin::start(catalogue(3));
    bench.write("ca.pem", &origin.ca);
    read(&bench, &origin, Some("ca.pem")).ok();

    let refused = read(&bench, &origin, None);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("UnknownIssuer"), "{}", refused.stderr);
}

#[test]
fn certificates_that_cannot_be_read_are_named() {
    let bench = Bench::new("no_certificates");
    let origin = Origin::start(catalogue(1));
    bench.write("empty.pem", "no certificate\n");
    for file in ["missing.pem", "empty.pem"] {
        let refused = read(&bench, &origin, Some(file));
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains("SSL_CERT_FILE names no usable certificate"), "{}", refused.stderr);
    }
}
