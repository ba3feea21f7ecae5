//! The integration tests, one binary.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod serve_process;
#[cfg(test)]
mod settings_rest;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
