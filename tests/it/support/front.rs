//! The public address: it is the test's own, and leads to the program that runs at the moment.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::program::PATIENCE;

/// Copies bytes. Nothing is read or changed on the way.
pub struct Front {
    pub address: SocketAddr,
    target: watch::Sender<SocketAddr>,
    /// How many connections lead through here: the receivers.
    open: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Front {
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Before the first program there is nothing that could be asked for.
        let (target, leads) = watch::channel(address);
        let open = watch::Sender::new(());
        let counted = open.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (target, counted) = (*leads.borrow(), counted.subscribe());
                tokio::spawn(async move {
                    if let Ok(mut program) = TcpStream::connect(target).await {
                        tokio::io::copy_bidirectional(&mut client, &mut program).await.ok();
                    }
                    drop(counted);
                });
            }
        });
        Self { address, target, open, accepting }
    }

    pub fn leads_to(&self, address: SocketAddr) {
        self.target.send_replace(address);
    }

    /// Waits until all connections have ended.
    pub async fn settled(&self) {
        tokio::time::timeout(PATIENCE, self.open.closed()).await.expect("a connection stays open");
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
