//! The public address: it is the test's own, and leads to the programs that run at the moment.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::program::PATIENCE;

/// Copies bytes. Nothing is read or changed on the way.
pub struct Front {
    pub address: SocketAddr,
    targets: watch::Sender<Vec<SocketAddr>>,
    /// How many connections lead through here: the receivers.
    open: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Front {
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Before the first program there is nothing that could be asked for.
        let (targets, leads) = watch::channel(vec![address]);
        let open = watch::Sender::new(());
        let counted = open.clone();
        let accepting = tokio::spawn(async move {
            let mut turn = 0;
            while let Ok((mut client, _)) = listener.accept().await {
                let target = leads.borrow()[turn % leads.borrow().len()];
                turn += 1;
                let counted = counted.subscribe();
                tokio::spawn(async move {
                    if let Ok(mut program) = TcpStream::connect(target).await {
                        tokio::io::copy_bidirectional(&mut client, &mut program).await.ok();
                    }
                    drop(counted);
                });
            }
        });
        Self { address, targets, open, accepting }
    }

    /// Each connection leads to the next of these.
    pub fn leads_to(&self, addresses: Vec<SocketAddr>) {
        self.targets.send_replace(addresses);
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
