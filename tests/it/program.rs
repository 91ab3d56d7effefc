//! The program as operators meet it: how it starts, what it says, how it ends, what lasts.

mod administration;
mod clients;
mod demo;
mod edge;
mod killed;
mod lasting;
mod limited;
mod observed;
mod refusing;
mod warned;
