//! `tcp-floor ADDRESS RATE RUNS [reset]`: connect and close.

use std::io;
use std::net::SocketAddr;

fn main() -> io::Result<()> {
    let address: SocketAddr =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
    floors::paced(1, || floors::connect(address).map(drop))
}
