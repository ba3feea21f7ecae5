//! The likely cause of a call without an answer, in words that say what to do. Neither names nor addresses are in them.

use std::{
    error::Error,
    io::{self, ErrorKind},
    iter::successors,
};

use rustls::CertificateError;

/// The likely cause of `error`; `None` when nobody can tell.
pub(super) fn likely(error: &reqwest::Error) -> Option<&'static str> {
    // The wording of the library beneath is all that it shows of these two.
    let says = |words: &str| chain(error).any(|error| error.to_string().contains(words));
    if let Some(cause) = chain(error).find_map(of_tls) {
        return Some(cause);
    }
    if says("dns error") {
        return Some("the name of the server cannot be resolved: check the host in `url`");
    }
    if let Some(cause) = chain(error).find_map(of_connection) {
        return Some(cause);
    }
    if says("invalid HTTP") {
        return Some(
            "what answers there does not speak HTTP: if the port is one for HTTPS, write `https://`",
        );
    }
    error.is_timeout().then_some("no answer came in time: a firewall, or a server that is busy")
}

/// `error` and its causes, also those inside of errors of input and output.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error: &&'a (dyn Error + 'static)| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}

fn of_tls(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let certificate = match error.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidMessage(_) => {
            return Some(
                "what answers there does not speak TLS: if the port is one for HTTP, write `http://`",
            );
        }
        rustls::Error::PeerIncompatible(_) => {
            return Some("the server speaks no version of TLS that is accepted here: it needs 1.2 or later");
        }
        rustls::Error::InvalidCertificate(certificate) => certificate,
        _ => return None,
    };
    Some(match certificate {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate of the server is for another name: write that one into `url`"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate of the server has expired, or the clock of this machine is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate of the server is not valid yet, or the clock of this machine is wrong"
        }
        CertificateError::UnknownIssuer => {
            "nobody known here issued the certificate of the server: name the authority with `tls_ca`"
        }
        CertificateError::Revoked => "the certificate of the server was revoked",
        _ => "the certificate of the server is not accepted",
    })
}

fn of_connection(error: &(dyn Error + 'static)) -> Option<&'static str> {
    Some(match error.downcast_ref::<io::Error>()?.kind() {
        ErrorKind::ConnectionRefused => {
            "the connection was refused: nothing listens there; check host and port"
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            "the connection was broken off, by the server or something between"
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "no way leads to the server: is a VPN or a proxy missing?"
        }
        ErrorKind::TimedOut => "no answer came in time: a firewall, or a server that is busy",
        _ => return None,
    })
}
