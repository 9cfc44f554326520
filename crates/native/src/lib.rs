//! What the native programs share: secrets on command lines and in files, and the settings of outgoing requests.

pub mod argv;
pub mod http_client;
pub mod private_file;
