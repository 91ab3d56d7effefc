//! Both ends of the gateway as bare connections: what is said on one, and what is seen on the other.

use std::net::SocketAddr;
use std::time::Duration;

use entrada::app::accept::FIRST_REQUEST;
use entrada::app::accept::accept;
use entrada::domain::resource::Resource;
use futures_util::FutureExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use url::Url;

use crate::support::client::Client;
use crate::support::client::Tokens;
use crate::support::entrada::Entrada;
use crate::support::entrada::ISSUER;
use crate::support::entrada::Setup;
use crate::support::entrada::resource;

/// Whoever waits for longer has failed: it bounds a test that hangs, and nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An Entrada on a socket, before an upstream that is nothing but a socket.
pub struct Wire {
    pub entrada: Entrada,
    pub client: Client,
    pub tokens: Tokens,
    address: SocketAddr,
    upstream: TcpListener,
    _stop: watch::Sender<bool>,
}

impl Wire {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Resource)) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/mcp", upstream.local_addr().unwrap())).unwrap();
        let mut resource = resource(ISSUER, "/mcp", Some(url));
        change(&mut resource);
        let entrada = Entrada::with(Setup { resources: vec![resource], ..Setup::default() }).await;
        let client = Client::register(&entrada).await;
        let tokens = client.tokens(&entrada).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopped) = watch::channel(false);
        tokio::spawn(accept(listener, entrada.router.clone(), FIRST_REQUEST, stopped));
        Self { entrada, client, tokens, address, upstream, _stop }
    }

    /// A connection of a client's.
    pub async fn connect(&self) -> Talk {
        Talk::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// A request whose body is to follow: `more` are headers, each with its line ending.
    pub async fn ask(&self, method: &str, more: &str) -> Talk {
        let mut talk = self.connect().await;
        talk.say(&self.head(method, "/mcp", more)).await;
        talk
    }

    pub fn head(&self, method: &str, target: &str, more: &str) -> String {
        let token = &self.tokens.access;
        format!(
            "{method} {target} HTTP/1.1\r\nhost: mcp.example.com\r\nauthorization: Bearer {token}\r\n{more}\r\n"
        )
    }

    /// The next connection to the upstream, with the head of its first request.
    pub async fn asked(&self) -> Talk {
        let accepted = tokio::time::timeout(PATIENCE, self.upstream.accept()).await;
        let mut talk = Talk::new(accepted.expect("nobody asks the upstream").unwrap().0);
        talk.until("\r\n\r\n").await;
        talk
    }

    /// Nobody has asked the upstream anything.
    pub fn is_left_alone(&self) -> bool {
        self.upstream.accept().now_or_never().is_none()
    }

    /// Ends the session of the caller.
    pub async fn revoke(&self) {
        let form = [("client_id", self.client.id.as_str()), ("token", &self.tokens.refresh)];
        assert_eq!(self.entrada.post_form("/revoke", &form).await.status, 200);
    }
}

/// One end of a connection.
pub struct Talk {
    stream: TcpStream,
    /// All that has been heard.
    pub heard: String,
}

impl Talk {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, heard: String::new() }
    }

    pub async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The same, to somebody who may have hung up.
    pub async fn tries(&mut self, text: &str) -> bool {
        let said = self.stream.write_all(text.as_bytes()).await.is_ok();
        tokio::task::yield_now().await;
        said
    }

    /// What was said has been read on the other side, as far as that can be seen from here: everybody had a turn.
    pub async fn reached(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// What can be said at once, of what the other side may never read.
    pub fn try_say(&self, bytes: &[u8]) -> usize {
        self.stream.try_write(bytes).unwrap_or(0)
    }

    /// Says so much that nothing more is taken for many turns of everybody else, and how much that was.
    pub async fn fill(&self) -> usize {
        let piece = vec![b'x'; 64 * 1024];
        let (mut said, mut refused) = (0, 0);
        while refused < 2_000 && said < 256 * 1024 * 1024 {
            match self.try_say(&piece) {
                0 => refused += 1,
                taken => (said, refused) = (said + taken, 0),
            }
            tokio::task::yield_now().await;
        }
        said
    }

    /// The head of an answer with chunks to follow.
    pub async fn streams(&mut self, kind: &str) {
        self.say(&format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"))
            .await;
    }

    pub async fn chunk(&mut self, text: &str) {
        self.say(&format!("{:x}\r\n{text}\r\n", text.len())).await;
    }

    /// Hears until this has been said; fails when the connection ends first.
    pub async fn until(&mut self, wanted: &str) {
        while !self.heard.contains(wanted) {
            assert!(self.hear().await, "it ended without {wanted:?}: {}", self.heard);
        }
    }

    /// Hears until the other side has ended the connection.
    pub async fn hung_up(&mut self) {
        while self.hear().await {}
    }

    /// One piece; `false` at the end.
    async fn hear(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let read = tokio::time::timeout(10 * PATIENCE, self.stream.read(&mut piece)).await;
        // A reset is an end as well.
        let length = read.expect("nothing more comes, and no end either").unwrap_or(0);
        self.heard += &String::from_utf8_lossy(&piece[..length]);
        length > 0
    }

    /// The status of the answer.
    pub async fn status(&mut self) -> u16 {
        self.until("\r\n\r\n").await;
        self.heard.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// No more of this end is sent; what comes is still heard.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }
}
