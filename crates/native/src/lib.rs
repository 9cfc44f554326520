//! Shared by the native programs: warnings about secrets on the command line ([`argv`]), files that only their owner may
//! read ([`private_file`]), the settings of outgoing requests ([`http_client`], [`tls`]), completions and man pages
//! ([`manual`]).

pub mod argv;
pub mod http_client;
pub mod manual;
pub mod private_file;
pub mod tls;
