//! The program as operators meet it: how it starts, what it says, how it ends, what lasts.

mod administration;
mod api_keys;
mod clients;
mod demo;
mod edge;
mod entra;
mod key_vault;
mod keys;
mod killed;
mod lasting;
mod limited;
mod observed;
mod on_cosmos;
mod proofs;
mod refusing;
mod replicas;
mod warned;
