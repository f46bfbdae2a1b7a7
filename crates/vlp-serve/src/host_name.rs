//! Names by which clients call a server.

use std::net::IpAddr;
use std::str::FromStr;

/// Characters of a name, and of a part of it.
const MAX_NAME: usize = 253;
const MAX_PART: usize = 63;

/// A host name by which clients call a server, such as `box.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(String);

/// Why a text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a host name is needed, such as box.example")]
pub struct HostNameError(&'static str);

impl HostName {
    /// Whether a client's `Host` header has this name; upper and lower case and a dot at the end make no difference.
    pub(crate) fn is(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.0.eq_ignore_ascii_case(host)
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        if text.parse::<IpAddr>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let has = |characters: &[char]| name.contains(characters);
        let is_part = |part: &str| !part.is_empty() && part.len() <= MAX_PART;
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        Err(HostNameError(match name {
            _ if name.trim().is_empty() => "it is empty",
            _ if name.contains(char::is_whitespace) => "it has a space",
            _ if name.contains("://") => "it has a scheme",
            _ if has(&['/', '?', '#']) => "it has a path",
            _ if has(&['@']) => "it has a user",
            _ if has(&['*']) => "it has a wildcard: name each host",
            _ if has(&[':']) => "it has a port: clients may use any",
            _ if !name.is_ascii() => "it is not ASCII: write it as xn--...",
            _ if !name.chars().all(is_letter) => "it has a character that host names do not have",
            _ if name.len() > MAX_NAME || !name.split('.').all(is_part) => {
                "a part of it is empty or too long"
            }
            _ => return Ok(Self(name.to_owned())),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_all_else_is_refused_with_a_reason() {
        for name in [
            "box",
            "Box.example",
            "box.example.",
            "a_b-c.d",
            "10.0.0.1",
            "::1",
        ] {
            assert!(name.parse::<HostName>().is_ok(), "{name}");
        }
        for (text, reason) in [
            ("", "it is empty"),
            ("  ", "it is empty"),
            (".", "it is empty"),
            ("box .example", "it has a space"),
            ("box.example\n", "it has a space"),
            ("http://box.example", "it has a scheme"),
            ("box.example/", "it has a path"),
            ("me@box", "it has a user"),
            ("*.example", "it has a wildcard"),
            ("box.example:8008", "it has a port"),
            ("b\u{fc}ro.example", "it is not ASCII"),
            ("box,example", "it has a character"),
            ("box..example", "a part of it"),
        ] {
            let error = text.parse::<HostName>().map_err(|error| error.to_string());
            assert!(
                error.as_ref().is_err_and(|e| e.starts_with(reason)),
                "{text:?}: {error:?}"
            );
        }
    }
}
