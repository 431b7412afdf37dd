//! `answer-floor ADDRESS [BYTES]`: a bare hyper server on one thread that answers `ok`, or so many bytes.

use std::convert::Infallible;
use std::future::ready;
use std::io;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
    let bytes = arguments.next().and_then(|text| text.parse().ok());
    let body = bytes.map_or_else(|| Bytes::from("ok"), |bytes| Bytes::from(vec![b'x'; bytes]));
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(serve(&address, body))
}

async fn serve(address: &str, body: Bytes) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        let answer =
            service_fn(move |_| ready(Ok::<_, Infallible>(hyper::Response::new(Full::new(body.clone())))));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}
