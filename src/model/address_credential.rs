//! Credentials in addresses, where people put them by mistake, also in those that are no address then.

use url::Url;

/// Whether `text` may be an address with a credential in it, wherever in it that stands.
pub(crate) fn may_hold_credential(text: &str) -> bool {
    let has_at = text.contains(['@', '\u{ff20}']) || text.contains("%40");
    has_at && text.contains([':', '/', '\\'])
        || text.contains("://") && (text.contains(['?', '#']) || Url::parse(text).is_err())
}

/// Whether `path`, where a file is asked for, is the address of a server, which errors about the file would repeat.
pub(crate) fn is_server(path: &str) -> bool {
    path.contains("://") || path.contains(':') && may_hold_credential(path)
}

#[cfg(test)]
mod tests {
    use super::{is_server, may_hold_credential};

    #[test]
    fn the_path_of_a_file_is_no_server() {
        for server in ["postgres://u:p@host/db", "//u:p@host/db", "u:p@host/db", "https://h?p=x"] {
            assert!(is_server(server), "{server}");
        }
        for file in ["gateway.db", "/srv/me@host/gateway.db", "//var/lib/gateway.db", "a:b.db"] {
            assert!(!is_server(file), "{file}");
        }
    }

    #[test]
    fn a_credential_is_suspected_wherever_it_may_be_in_an_address() {
        for text in [
            "https://u:p@h",
            "https://u@h",
            "https://u:p#x@h",
            "https://u:p/x@h",
            "https://u:p%40h",
            "https://u:p\u{ff20}h",
            "https://h/?token=x",
            "https://h/#x",
            "https://u:secret",
            "https://[::1]:secret",
            "u:p@h",
            "//u:p@h",
            "https:/u:p@h",
            "https:\\\\u:p@h",
            "postgres://u:p@h/db",
        ] {
            assert!(may_hold_credential(text), "{text}");
        }
        for text in
            ["https://h:8443/x", "mary@example.com", "policy/base.yaml", "sqlite:tokens.db", "a: b", "?"]
        {
            assert!(!may_hold_credential(text), "{text}");
        }
    }
}
