//! `git http-backend` as the servers behind the gateway run it: the request that it is told of, and the head of what it
//! answers.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use axum::http::{HeaderMap, Method, Uri, response};

use super::MARY;

/// The program over the repositories in `root`, told of a request of mary, whose body it takes on its standard input.
pub(super) fn program(root: &Path, method: &Method, uri: &Uri, headers: &HeaderMap) -> Command {
    let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    let mut program = Command::new("git");
    program
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", uri.path().strip_prefix("/scm").unwrap())
        .env("REQUEST_METHOD", method.as_str())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text("content-type"))
        .env("HTTP_CONTENT_ENCODING", text("content-encoding"))
        .env("GIT_PROTOCOL", text("git-protocol"))
        .env("REMOTE_USER", MARY)
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    program
}

/// The head of the answer that `output` begins with, and where the body begins; `None` before the head is whole.
pub(super) fn head(output: &[u8]) -> Option<(response::Builder, usize)> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut response = response::Builder::new();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value.split(' ').next().unwrap().parse::<u16>().unwrap()),
            name => response.header(name, value),
        };
    }
    Some((response, end + 4))
}
