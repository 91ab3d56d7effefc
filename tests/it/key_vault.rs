//! The root key in Key Vault: who makes it, whose counts, how it is replaced, and what a vault that lags, fails or refuses
//! costs.

mod first;
mod refusing;
mod rotating;
mod stand;
