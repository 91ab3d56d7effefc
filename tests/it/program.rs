//! The program as operators meet it: how it starts, what it says, how it ends, what lasts.

mod administration;
mod clients;
mod demo;
mod edge;
mod keys;
mod killed;
mod lasting;
mod limited;
mod observed;
mod on_cosmos;
mod refusing;
mod replicas;
mod warned;
