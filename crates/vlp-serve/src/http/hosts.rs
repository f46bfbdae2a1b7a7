//! Names by which clients may call the server.

use std::net::IpAddr;

use axum::http::uri::Authority;

use crate::host_name::HostName;

/// Names that the server answers to.
#[derive(Debug)]
pub(crate) struct Hosts {
    names: Vec<HostName>,
}

impl Hosts {
    pub(crate) fn new(names: &[HostName]) -> Self {
        Self {
            names: names.to_vec(),
        }
    }

    /// Whether a `Host` header is one of the names, `localhost` or an IP address, which no name server can redirect. The port
    /// may be any: a tunnel may change it.
    pub(super) fn allows(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        let name = authority.host().to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        authority.as_str() == host
            && !host.contains('@')
            && (name == "localhost"
                || address.parse::<IpAddr>().is_ok()
                || self.names.iter().any(|other| other.is(&name)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hosts_are_addresses_and_listed_names() {
        let hosts = Hosts::new(&["Box.example".parse().unwrap()]);
        for host in [
            "localhost",
            "LOCALHOST:8008",
            "127.0.0.1:80",
            "[::1]:8008",
            "box.example:1",
            "box.example.",
        ] {
            assert!(hosts.allows(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "box.example.evil.example:8008",
            "evil.example@localhost",
            "localhost/",
            "127.0.0.1.evil.example",
        ] {
            assert!(!hosts.allows(host), "{host}");
        }
    }
}
