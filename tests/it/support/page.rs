//! What a host of the web answers, written byte by byte: also what no server would say.

use std::io;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufStream;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// An answer.
#[derive(Clone, Debug)]
pub struct Page {
    pub status: u16,
    /// `Content-Length` aside, which is told truly unless it stands here, or `chunked`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub manner: Manner,
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Whole,
    /// In chunks, so that the length is not told before.
    Chunked,
    /// In chunks that never end.
    Endless,
    /// The body comes by a byte a second. Only where time is paused: it then passes by itself.
    Trickling,
    /// The connection is closed in the middle of the body.
    Broken,
    /// There is no answer.
    Silent,
}

impl Page {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), manner: Manner::Whole }
    }

    /// JSON, or what passes for it.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body).header("content-type", "application/json")
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::new(status, "")
    }

    pub fn redirect(to: &str) -> Self {
        Self::status(302).header("location", to)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another value of a header, instead of those before.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(there, _)| there != name);
        self.header(name, value)
    }

    pub fn manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} \r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if matches!(self.manner, Manner::Chunked | Manner::Endless) {
            head += "transfer-encoding: chunked\r\n";
        } else if !self.headers.iter().any(|(name, _)| name == "content-length") && self.status != 304 {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        (head + "\r\n").into_bytes()
    }
}

impl From<Value> for Page {
    fn from(document: Value) -> Self {
        Self::json(document.to_string())
    }
}

pub type Stream = BufStream<TlsStream<TcpStream>>;

/// The head of a request. Those that arrive here have no body.
pub struct Head {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
}

/// `None` when the client has no further request.
pub async fn read_head(stream: &mut Stream) -> io::Result<Option<Head>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut first = lines[0].split(' ').map(str::to_owned);
    let header = |line: &String| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers = lines[1..].iter().map(header).collect();
    Ok(Some(Head { method: first.next().unwrap(), target: first.next().unwrap(), headers }))
}

/// An error when there is to be no further answer.
pub async fn answer(stream: &mut Stream, page: &Page) -> io::Result<()> {
    let gone = || io::Error::from(io::ErrorKind::ConnectionAborted);
    match page.manner {
        Manner::Silent => {
            // Until the client goes away.
            stream.read_u8().await?;
        }
        Manner::Whole => stream.write_all(&[page.head(), page.body.clone()].concat()).await?,
        Manner::Broken => {
            let half = &page.body[..page.body.len() / 2];
            stream.write_all(&[&page.head(), half].concat()).await?;
            stream.flush().await?;
            return Err(gone());
        }
        Manner::Trickling => {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            stream.write_all(&page.head()).await?;
            for byte in &page.body {
                seconds.tick().await;
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
            }
        }
        Manner::Chunked => {
            stream.write_all(&page.head()).await?;
            for piece in page.body.chunks(1_000) {
                stream.write_all(&chunk(piece)).await?;
            }
            stream.write_all(&chunk(b"")).await?;
        }
        Manner::Endless => {
            stream.write_all(&page.head()).await?;
            loop {
                stream.write_all(&chunk(&page.body)).await?;
                stream.flush().await?;
            }
        }
    }
    stream.flush().await
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}
