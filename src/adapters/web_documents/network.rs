//! Names, addresses and sockets.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::Addrs;
use reqwest::dns::Name;
use reqwest::dns::Resolve;
use reqwest::dns::Resolving;
use thiserror::Error;

use super::address::is_global;

/// Where names and addresses lead to. What an address is allowed to be is not asked here, but between the two
/// questions, whoever answers them.
#[async_trait]
pub trait Network: Send + Sync {
    /// All addresses of a host. Its name is absolute: it ends in a dot.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;

    /// What a connection to this address connects to: the address. Port 0 stands for the port of the URL, where
    /// the URL does not name one either. A test, which cannot own a global address, answers otherwise.
    fn socket(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, 0)
    }
}

/// The network of this machine, names by the resolver of the operating system.
#[derive(Debug)]
pub struct SystemNetwork;

#[async_trait]
impl Network for SystemNetwork {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|socket| socket.ip()).collect())
    }
}

/// Addresses of a family that are connected to, one after the other: a name with a thousand of them would have us
/// knock at a thousand doors.
const MAX_TRIED: usize = 4;

/// A name leads somewhere else than to the Internet.
#[derive(Debug, Error)]
#[error("an address of this name is not global")]
pub(super) struct NotGlobal;

#[derive(Debug, Error)]
#[error("this name has no address")]
struct NoAddress;

/// Resolves a name once, to the addresses that are then connected to, and to none if one of them is not global:
/// whoever mixes them hopes that a second attempt reaches the other.
pub(super) struct GlobalNetwork(pub Arc<dyn Network>);

impl Resolve for GlobalNetwork {
    fn resolve(&self, name: Name) -> Resolving {
        let network = Arc::clone(&self.0);
        Box::pin(async move {
            // Absolute: the machine's search domains have no say in where a host is.
            let absolute = format!("{}.", name.as_str());
            let addresses = network.addresses(&absolute).await?;
            if addresses.is_empty() {
                return Err(NoAddress.into());
            }
            if !addresses.iter().copied().all(is_global) {
                return Err(NotGlobal.into());
            }
            let (four, six): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv4);
            let few = six.into_iter().take(MAX_TRIED).chain(four.into_iter().take(MAX_TRIED));
            let sockets: Vec<SocketAddr> = few.map(|address| network.socket(address)).collect();
            Ok(Box::new(sockets.into_iter()) as Addrs)
        })
    }
}
