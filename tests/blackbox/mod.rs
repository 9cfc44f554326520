//! The black-box suite: the same requests and the same expectations for the service in this process and for
//! the Worker in workerd.

pub mod cases;
pub mod catalogue;
pub mod check;
pub mod configured;
pub mod issuers;
pub mod leases;
pub mod matrix;
pub mod oracle;
pub mod origin;
pub mod packs;
pub mod personas;
pub mod publishing;
pub mod repeated;
pub mod rights;
pub mod routes;
pub mod subject;
pub mod tokens;
pub mod wire;
pub mod writes;
