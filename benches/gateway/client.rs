//! Clients that read streams of events.

use std::io;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::upstream::PACE;
use crate::upstream::now;

/// How many open streams at the same time, until all are open.
const OPENING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads so many events from each of two addresses, in turn as they come, and prints what each was under way, in
/// nanoseconds.
pub async fn delays([gateway, upstream]: [&str; 2], token: &str, count: usize) {
    let gateway = tokio::spawn(delays_at(gateway.to_owned(), token.to_owned(), count));
    // No event of the one meets one of the other.
    tokio::time::sleep(PACE / 2).await;
    let upstream = tokio::spawn(delays_at(upstream.to_owned(), token.to_owned(), count));
    for (through, direct) in gateway.await.unwrap().iter().zip(upstream.await.unwrap()) {
        println!("{through} {direct}");
    }
}

async fn delays_at(address: String, token: String, count: usize) -> Vec<u128> {
    let mut stream = open(&address, &token, "?events").await;
    let mut delays = Vec::with_capacity(count);
    while delays.len() < count {
        let line = line(&mut stream).await;
        if let Some(sent) = line.strip_prefix("data: ") {
            delays.push(now() - sent.trim().parse::<u128>().unwrap());
        }
    }
    delays
}

/// Opens so many streams on which nothing comes, prints that they are open, and keeps them until its input ends.
pub async fn idle(address: &str, token: &str, count: usize) {
    let mut opening = JoinSet::new();
    for nth in 0..OPENING {
        let (address, token) = (address.to_owned(), token.to_owned());
        let share = count / OPENING + usize::from(nth < count % OPENING);
        opening.spawn(async move {
            let mut open_ones = Vec::with_capacity(share);
            for _ in 0..share {
                open_ones.push(open(&address, &token, "").await.into_inner());
            }
            open_ones
        });
    }
    let open_ones = opening.join_all().await;
    println!("open");
    io::read_to_string(io::stdin()).unwrap();
    drop(open_ones);
}

/// A stream whose first comment has come.
async fn open(address: &str, token: &str, query: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!(
        "GET /mcp{query} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut stream = BufReader::with_capacity(1024, stream);
    let status = line(&mut stream).await;
    assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
    while !line(&mut stream).await.starts_with(": open") {}
    stream
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await;
    assert!(read.unwrap().unwrap() > 0, "the stream has ended");
    line
}
