//! `tcp-floor ADDRESS RATE RUNS`: connect and close.

use std::io;
use std::net::{SocketAddr, TcpStream};

fn main() -> io::Result<()> {
    let address: SocketAddr =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).ok_or(io::ErrorKind::InvalidInput)?;
    floors::paced(1, || TcpStream::connect(address).map(drop))
}
