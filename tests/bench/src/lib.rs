//! What the floors share: a fixed number of runs at a fixed rate, whose CPU time the driver reads when they end.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Connects; where the command line ends with `reset`, the connection will end with a reset instead of a farewell.
///
/// # Errors
/// Those of connect(2).
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    if std::env::args().next_back().as_deref() == Some("reset") {
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(stream)
}

/// Reads `RATE RUNS` from the command line after `skip` arguments, and does `run` so many times a second.
///
/// # Errors
/// The first run that fails.
pub fn paced(skip: usize, mut run: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let mut numbers = std::env::args().skip(1 + skip).map(|text| text.parse::<u32>());
    let mut number = || numbers.next().and_then(Result::ok).ok_or(io::ErrorKind::InvalidInput);
    let (rate, runs) = (number()?, number()?);
    let begin = Instant::now();
    for index in 1..=runs {
        run()?;
        let due = begin + Duration::from_secs(1) * index / rate;
        sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
