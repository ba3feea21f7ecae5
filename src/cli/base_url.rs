//! Addresses of servers on the command line.

use url::Url;

/// A base address: `http` or `https`, with a host, and nothing behind the path.
pub(super) fn base_url(text: &str) -> Result<String, String> {
    let url =
        Url::parse(text).map_err(|error| format!("{error}; write e.g. https://bitbucket.example.com"))?;
    let is_base =
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if !is_base {
        return Err("write a base address, e.g. https://bitbucket.example.com".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the address has a credential; it comes from a variable, and is not written out".to_owned()
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}
