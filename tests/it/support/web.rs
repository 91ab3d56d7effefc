//! The web that Entrada fetches from: every host of it, behind one TLS listener on this machine.
//!
//! A host that is served has an address of its own, which it claims in the resolver that tests put into the
//! adapter. Whatever address a connection goes to, it arrives here: so a connection that should not have been
//! made is seen.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use async_trait::async_trait;
use axum::http::HeaderMap;
use entrada::adapters::web_documents::Network;
use entrada::adapters::web_documents::WebDocuments;
use entrada::ports::clock::Clock;
use entrada::ports::documents::ClientDocuments;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::certificates::Certificates;
use super::page::Page;
use super::page::Stream;
use super::page::answer;
use super::page::read_head;

/// A running web. All clones are the same; it stops with the last one.
#[derive(Clone)]
pub struct Web(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Shared {
    socket: SocketAddr,
    certificates: Arc<Certificates>,
    acceptor: TlsAcceptor,
    state: Mutex<State>,
    /// Tells that something has arrived.
    news: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    pages: HashMap<Url, Page>,
    gates: HashMap<Url, watch::Receiver<bool>>,
    hosts: HashMap<String, Lookups>,
    /// As many hosts have been given an address.
    claimed: u8,
    looked_up: Vec<String>,
    connected_to: Vec<IpAddr>,
    accepted: Vec<SocketAddr>,
    seen: Vec<Seen>,
}

/// What the resolver says of a host.
enum Lookups {
    /// In turn; the last one stays.
    Answer(VecDeque<Vec<IpAddr>>),
    NotFound,
    Hang,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub url: Url,
    pub method: String,
    pub headers: HeaderMap,
}

impl Web {
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let certificates = Certificates::new();
        let shared = Arc::new(Shared {
            socket: listener.local_addr().unwrap(),
            acceptor: certificates.acceptor(),
            certificates,
            state: Mutex::default(),
            news: watch::Sender::new(()),
        });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self(Arc::new(Running { shared, server }))
    }

    /// The adapter of the product, on this web and its certification authority.
    pub fn documents(&self, clock: Arc<dyn Clock>) -> Arc<dyn ClientDocuments> {
        Arc::new(WebDocuments::new(self.network(), Some(self.ca().as_bytes()), clock).unwrap())
    }

    pub fn network(&self) -> Arc<dyn Network> {
        Arc::new(self.clone())
    }

    /// The certificate (PEM) of the authority that vouches for every host here.
    pub fn ca(&self) -> String {
        self.0.shared.certificates.ca()
    }

    /// The port of the listener, for URLs that name one.
    pub fn port(&self) -> u16 {
        self.0.shared.socket.port()
    }

    /// Serves a page from now on, instead of the one before. Its host exists from now on.
    pub fn serve(&self, url: &str, page: impl Into<Page>) {
        let url = Url::parse(url).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let mut state = self.state();
        if !state.hosts.contains_key(&host) {
            state.claimed += 1;
            let address = IpAddr::from([8, 8, 4, state.claimed]);
            state.hosts.insert(host, Lookups::Answer([vec![address]].into()));
        }
        state.pages.insert(url, page.into());
    }

    /// The addresses of a host.
    pub fn claim(&self, host: &str, addresses: &[&str]) {
        self.claim_in_turn(host, &[addresses]);
    }

    /// The addresses of a host: the first ones for the first lookup from now on, and so on; the last ones stay.
    pub fn claim_in_turn(&self, host: &str, turns: &[&[&str]]) {
        let parsed = |turn: &&[&str]| turn.iter().map(|address| address.parse().unwrap()).collect();
        let answers = Lookups::Answer(turns.iter().map(parsed).collect());
        self.state().hosts.insert(host.to_owned(), answers);
    }

    /// The name does not exist.
    pub fn unname(&self, host: &str) {
        self.state().hosts.insert(host.to_owned(), Lookups::NotFound);
    }

    /// The resolver does not answer.
    pub fn hang_lookups(&self, host: &str) {
        self.state().hosts.insert(host.to_owned(), Lookups::Hang);
    }

    /// The host shows a certificate that the same authority gave to another host.
    pub fn impersonate(&self, host: &str, certified: &str) {
        self.0.shared.certificates.impersonate(host, certified);
    }

    /// The host shows a certificate of its own from an authority that nobody knows.
    pub fn distrust(&self, host: &str) {
        self.0.shared.certificates.distrust(host);
    }

    /// How many requests have arrived at this URL.
    pub fn requests(&self, url: &str) -> usize {
        self.seen(url).len()
    }

    /// The requests that have arrived at this URL.
    pub fn seen(&self, url: &str) -> Vec<Seen> {
        let url = Url::parse(url).unwrap();
        self.state().seen.iter().filter(|seen| seen.url == url).cloned().collect()
    }

    /// Waits until so many requests have arrived at this URL.
    pub async fn requested(&self, url: &str, count: usize) {
        let mut news = self.0.shared.news.subscribe();
        news.wait_for(|()| self.requests(url) >= count).await.unwrap();
    }

    /// Requests at this URL arrive, and are answered when the gate is open: with the page that is there then.
    pub fn hold(&self, url: &str) -> Gate {
        let (open, opened) = watch::channel(false);
        let before = self.requests(url);
        self.state().gates.insert(Url::parse(url).unwrap(), opened);
        Gate { web: self.clone(), url: url.to_owned(), before, open }
    }

    /// How often the addresses of a host were asked for.
    pub fn lookups(&self, host: &str) -> usize {
        self.state().looked_up.iter().filter(|name| *name == host).count()
    }

    /// The addresses that the adapter said it connects to.
    pub fn connected_to(&self) -> Vec<IpAddr> {
        self.state().connected_to.clone()
    }

    /// How many connections have been made, this moment included: they are accepted in the order in which they
    /// came, and this asks with one of its own.
    pub async fn connections(&self) -> usize {
        let shared = &self.0.shared;
        let probe = TcpStream::connect(shared.socket).await.unwrap();
        let own = probe.local_addr().unwrap();
        let accepted = || shared.state.lock().unwrap().accepted.clone();
        shared.news.subscribe().wait_for(|()| accepted().contains(&own)).await.unwrap();
        self.state().accepted.retain(|peer| *peer != own);
        accepted().len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.shared.state.lock().unwrap()
    }
}

/// Holds requests back. A dropped gate is open.
#[must_use]
pub struct Gate {
    web: Web,
    url: String,
    before: usize,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Waits until so many requests stand before it, or have.
    pub async fn reached(&self, count: usize) {
        self.web.requested(&self.url, self.before + count).await;
    }

    pub fn open(self) {
        self.open.send_replace(true);
    }
}

#[async_trait]
impl Network for Web {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        // A search domain has every name, and leads inside.
        let Some(host) = host.strip_suffix('.') else { return Ok(vec![IpAddr::from([10, 0, 0, 53])]) };
        {
            let mut state = self.state();
            state.looked_up.push(host.to_owned());
            match state.hosts.get_mut(host) {
                None | Some(Lookups::NotFound) => return Err(io::Error::other("no such name")),
                Some(Lookups::Answer(turns)) if turns.len() > 1 => return Ok(turns.pop_front().unwrap()),
                Some(Lookups::Answer(turns)) => return Ok(turns[0].clone()),
                Some(Lookups::Hang) => {}
            }
        }
        std::future::pending().await
    }

    fn socket(&self, address: IpAddr) -> SocketAddr {
        self.state().connected_to.push(address);
        self.0.shared.socket
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        shared.state.lock().unwrap().accepted.push(peer);
        shared.news.send_replace(());
        let shared = Arc::clone(&shared);
        // A client that goes away ends its connection alone.
        tokio::spawn(async move { converse(stream, &shared).await });
    }
}

/// Answers one request after another.
async fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut stream = Stream::new(shared.acceptor.accept(stream).await?);
    while let Some(head) = read_head(&mut stream).await? {
        let url = Url::parse(&format!("https://{}{}", head.headers["host"].to_str().unwrap(), head.target))
            .unwrap();
        let seen = Seen { url: url.clone(), method: head.method, headers: head.headers };
        shared.state.lock().unwrap().seen.push(seen);
        shared.news.send_replace(());
        let gate = shared.state.lock().unwrap().gates.get(&url).cloned();
        if let Some(mut gate) = gate {
            // It fails when the gate has been dropped.
            gate.wait_for(|open| *open).await.ok();
        }
        let page = shared.state.lock().unwrap().pages.get(&url).cloned();
        let page = page.unwrap_or_else(|| Page::status(404));
        answer(&mut stream, &page).await?;
    }
    Ok(())
}
