//! Main containers: real servers whose behaviour a test decides.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A server that hands each connection to a function; it ends with this value.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl App {
    /// Starts a server on a free port of loopback; `serve` gets the number of the connection, the request head and the
    /// stream.
    pub fn start(serve: impl Fn(usize, &str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    pub fn on(
        listener: TcpListener,
        serve: impl Fn(usize, &str, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopping, seen, serve) = (Arc::clone(&stop), Arc::clone(&requests), Arc::new(serve));
        let accept = move || {
            let count = AtomicUsize::new(0);
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let (serve, seen) = (Arc::clone(&serve), Arc::clone(&seen));
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                std::thread::spawn(move || {
                    let head = read_head(&mut stream);
                    seen.lock().unwrap().push(head.clone());
                    serve(number, &head, &mut stream);
                });
            }
        };
        Self { address, stop, requests, thread: Some(std::thread::spawn(accept)) }
    }

    /// Answers every request with the text that `answer` gives for its number and head.
    pub fn answering(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        Self::start(move |number, head, stream| {
            let _ = stream.write_all(answer(number, head).as_bytes());
        })
    }

    /// Starts the classic of "Kubernetes in Action": of every ten requests the 7th to the 10th are answered 400.
    pub fn kubia() -> Self {
        Self::answering(|number, _| match (number - 1) % 10 {
            0..6 => response("200 OK", "You've hit kubia\n"),
            _ => response("400 Bad Request", "I'm not well. Please restart me!\n"),
        })
    }

    /// Returns the heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which then lets go of the port.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns a whole answer.
pub fn response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Reads a request head, or what there is of it.
fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Says that there is no more, and waits until the peer has seen it.
pub fn close(stream: &mut TcpStream) {
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}
