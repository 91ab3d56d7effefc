//! What we remember: grants, logins, clients, keys, and the credentials made from them.

pub mod document;
pub mod time;
