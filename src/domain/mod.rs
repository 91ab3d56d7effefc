//! What we remember: grants, logins, clients, keys, and the credentials made from them.

pub mod access_token;
pub mod block;
pub mod brand;
pub mod client;
pub mod client_assertion;
pub mod client_keys;
pub mod client_record;
pub mod colour;
pub mod document;
pub mod event;
pub mod grant;
pub mod keys;
pub mod limits;
pub mod login;
pub mod person;
pub mod policy;
pub mod reference;
pub mod resource;
pub mod root_check;
pub mod seal;
pub mod signing;
pub mod signing_keys;
pub mod time;
pub mod trust;
pub mod vendor;
